//! As much of DER (X.690) as tells how large a key is, and until when a certificate holds.

/// One value: its tag, and what is in it.
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate, which may be missing.
const VERSION: u8 = 0xa0;

/// Takes the first value off.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<Value<'a>> {
    let (&[tag, first], mut rest) = bytes.split_first_chunk::<2>()?;
    let mut n = usize::from(first);
    if first & 0x80 != 0 {
        let n_bytes = usize::from(first & 0x7f);
        // Nobody has a key or certificate of 16 MiB.
        if !(1..=3).contains(&n_bytes) {
            return None;
        }
        let (length, after) = rest.split_at_checked(n_bytes)?;
        n = length.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(n)?;
    *bytes = after;
    Some(Value { tag, content })
}

fn next_of<'a>(tag: u8, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    next(bytes).filter(|value| value.tag == tag).map(|value| value.content)
}

/// Returns the modulus of an RSA public key, without zeros before it: of a `SubjectPublicKeyInfo`, as everybody publishes it, or bare, as RFC 6376 has it.
pub(super) fn rsa_modulus(key: &[u8]) -> Option<&[u8]> {
    let mut inner = next_of(SEQUENCE, &mut &*key)?;
    let first = next(&mut inner)?;
    let modulus = if first.tag == SEQUENCE {
        let bits = next_of(BIT_STRING, &mut inner)?;
        // The first byte counts the bits that are left over: none.
        let mut bare = next_of(SEQUENCE, &mut bits.get(1..)?)?;
        next_of(INTEGER, &mut bare)?
    } else if first.tag == INTEGER {
        first.content
    } else {
        return None;
    };
    let n_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    Some(&modulus[n_zeros..])
}

/// Returns the last instant of a certificate, in seconds since the Unix epoch.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let mut certificate = next_of(SEQUENCE, &mut &*certificate)?;
    let mut inner = next_of(SEQUENCE, &mut certificate)?;
    let first = next(&mut inner)?;
    if first.tag == VERSION {
        next_of(INTEGER, &mut inner)?;
    }
    // The algorithm and the issuer stand before.
    next_of(SEQUENCE, &mut inner)?;
    next_of(SEQUENCE, &mut inner)?;
    let mut validity = next_of(SEQUENCE, &mut inner)?;
    next(&mut validity)?;
    let until = next(&mut validity)?;
    let text = std::str::from_utf8(until.content).ok()?;
    let text = match until.tag {
        // RFC 5280 §4.1.2.5.1: 50 to 99 are of the last century.
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = chrono::NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(at.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_size_of_a_key_is_read_in_both_forms() {
        // RFC 8463, appendix A.2: 1024 bits, as SubjectPublicKeyInfo.
        let key = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b\
                   yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
        let info = BASE64_STANDARD.decode(key).expect("base64");
        let modulus = rsa_modulus(&info).expect("an RSA key");
        assert_eq!((modulus.len(), modulus[0]), (128, 0xe4));
        // The bare key is the end of it.
        let bare = &info[info.len() - 140..];
        assert_eq!(rsa_modulus(bare), Some(modulus));
        assert_eq!(rsa_modulus(&info[..100]), None);
        assert_eq!(rsa_modulus(&[]), None);
    }

    #[test]
    fn the_end_of_a_certificate_is_read_whichever_century_it_is_in() {
        for (year, seconds) in [(2027, 1_798_761_600), (2049, 2_493_072_000), (2051, 2_556_144_000)] {
            let mut params = CertificateParams::new(vec!["relay.example".to_owned()]).expect("a name");
            params.not_after = date_time_ymd(year, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let certificate = params.self_signed(&key).expect("a certificate");
            assert_eq!(not_after(certificate.der()), Some(seconds), "{year}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            rsa_modulus(&bytes);
            not_after(&bytes);
        }
    }
}
