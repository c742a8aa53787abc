//! A disk that is full: nothing that was taken in is lost, what was not is told, and when there is room again everything goes on.
//!
//! The disk is a real one of a few mebibytes, mounted in a name space of the test's own, which needs no privilege where the kernel allows it.

use std::process::{Command, Stdio};

use crate::support::posthorn::Posthorn;
use crate::support::records::{lead, ndjson, partner};

/// Leads that are imported: more than the small disk holds.
const N_LEADS: usize = 3000;

/// Mounts a disk of `$2` kilobytes at `$1`, then fills and widens it while posthorn works on it. `$3` is the binary.
const SCRIPT: &str = r#"
set -u
disk=$1 size=$2 binary=$3
resize() { mount -o "remount,size=$1" "$disk" || exit 90; }
run() {
  echo "== $*"
  "$binary" --config ../posthorn.toml --now "$now" "$@" 2>&1
  echo "exit $?"
}
mount -t tmpfs -o size="$size" tmpfs "$disk" || exit 90
cd "$disk"
now=2026-03-02T09:00:00Z
run partners import ../partners.ndjson
run import --yes ../leads.ndjson
run audit
resize 64m
run import --yes ../leads.ndjson
run audit
# The mails have no room beside the leads.
used=$(df -k --output=used . | tail -1)
resize $((used + 400))k
run work --until-idle
run audit
resize 64m
# What was put off is due again.
now=2026-03-02T12:00:00Z
run work --until-idle
run audit
echo "mails $(ls mail/new | wc -l)"
"#;

#[test]
fn a_full_disk_loses_nothing_and_says_what_to_do() {
    let posthorn = Posthorn::sqlite();
    let disk = posthorn.folder().join("disk");
    std::fs::create_dir(&disk).expect("a folder can be made");
    posthorn.file("leads.ndjson", &ndjson((1..=N_LEADS).map(|n| lead(&format!("L{n}")))));
    posthorn.file("partners.ndjson", &ndjson([partner("contoso")]));
    posthorn
        .setting("database.url", "sqlite:posthorn.db")
        .setting("mail.maildir", "mail")
        .setting("policy.digest_threshold", "1000000");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(&disk)
        .arg("1500k")
        .arg(env!("CARGO_BIN_EXE_posthorn"))
        .stdin(Stdio::null())
        .output();
    let told = match &output {
        Ok(output) if output.status.code() == Some(0) => String::from_utf8_lossy(&output.stdout).into_owned(),
        // A container may forbid name spaces; then there is no small disk to be had.
        _ => {
            eprintln!("a full disk: not run, as this system mounts none for an ordinary user");
            return;
        }
    };
    let steps: Vec<&str> = told.split("== ").skip(1).collect();
    let [
        partners,
        import,
        audit,
        import_again,
        audit_again,
        work,
        audit_while,
        work_again,
        audit_at_last,
    ] = steps.as_slice()
    else {
        panic!("{told}");
    };
    assert!(partners.contains("exit 0"), "{told}");
    assert!(
        import.contains("disk is full") && import.contains("make room") && import.ends_with("exit 4\n"),
        "{told}"
    );
    assert!(
        import_again.contains(&format!("{N_LEADS} new")) || import_again.contains("unchanged"),
        "{told}"
    );
    assert!(import_again.contains("exit 0"), "{told}");
    for step in [audit, audit_again, audit_while, audit_at_last] {
        assert!(step.contains("orphans: 0") && step.contains("exit 0"), "{told}");
    }
    assert!(!work.contains("panicked") && !work_again.contains("panicked"), "{told}");
    assert!(work_again.contains("exit 0"), "{told}");
    assert!(
        audit_at_last.contains(&format!("mails {N_LEADS}")),
        "each lead is mailed, once: {told}"
    );
}
