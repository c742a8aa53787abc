//! How handing over a mail fails, the same for SMTP and Maildir: where, what was said, and whether the mail may be out all the same.

use std::fmt;
use std::io;

use crate::outbox::{Reply, Stage};

/// A mail that was not handed over, or of which that is not known.
///
/// Its text names no address: it may be logged. The reply's text is the relay's own and may name one.
#[derive(Clone, Debug)]
pub struct Failed {
    /// How far it came. A Maildir has two: [`Stage::Connect`] (its folders) and [`Stage::FinalDot`] (the file).
    pub stage: Stage,
    /// What the relay answered; none where it said nothing, and for a Maildir.
    pub reply: Option<Reply>,
    /// The sort of failure, for whoever counts them.
    pub cause: Cause,
    /// What happened, for people.
    pub detail: String,
    /// The final dot was out and no reply came: the relay may have the mail.
    pub in_doubt: bool,
}

/// The sort of a failure, where no reply code tells more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The relay answered with a refusal (or would have: see `Connection::send` for the three refusals made on its behalf).
    Refused,
    /// No answer within the stage's timeout.
    TimedOut,
    /// The connection ended where an answer was due.
    Closed,
    /// A kept connection had ended before this mail began. Nothing was said and nothing is lost: open another and send at once; no attempt is spent.
    Stale,
    /// Name resolution or TCP failed.
    Unreachable,
    /// The handshake failed, or plaintext was slipped in behind the `220` of STARTTLS.
    Tls,
    /// The relay does not offer what the settings demand (STARTTLS, AUTH), or the settings cannot be used with it.
    NotOffered,
    /// The relay's answer is no SMTP, or not one that fits the question.
    Garbled,
    /// The disk, or the quota, is full.
    DiskFull,
    /// The file system forbids it.
    Denied,
    /// Any other error of the file system or the network.
    Io,
}

impl Cause {
    /// Returns the word for it, as the `cause` label and log field have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Stale => "stale",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::NotOffered => "not_offered",
            Self::Garbled => "garbled",
            Self::DiskFull => "disk_full",
            Self::Denied => "denied",
            Self::Io => "io",
        }
    }

    /// Sorts an error of the operating system.
    pub(super) fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::StorageFull | K::QuotaExceeded => Self::DiskFull,
            K::PermissionDenied | K::ReadOnlyFilesystem => Self::Denied,
            K::TimedOut => Self::TimedOut,
            K::InvalidData => Self::Garbled,
            K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::NotConnected | K::WriteZero => Self::Closed,
            _ => Self::Io,
        }
    }
}

impl Failed {
    /// Makes a failure without a reply that leaves no doubt.
    pub(super) fn new(stage: Stage, cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            stage,
            reply: None,
            cause,
            detail: detail.into(),
            in_doubt: false,
        }
    }

    /// Makes a refusal.
    pub(super) fn refused(stage: Stage, reply: Reply) -> Self {
        let detail = format!("relay answered {}", reply.code);
        Self {
            stage,
            reply: Some(reply),
            cause: Cause::Refused,
            detail,
            in_doubt: false,
        }
    }

    /// Tells that a kept connection had gone before this mail began: send it again at once over a new one.
    pub fn is_stale(&self) -> bool {
        self.cause == Cause::Stale
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", stage_name(self.stage), self.detail)?;
        if self.in_doubt {
            f.write_str("; the relay may have the mail")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failed {}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connect",
        Stage::Ehlo => "EHLO",
        Stage::StartTls => "STARTTLS",
        Stage::Auth => "AUTH",
        Stage::MailFrom => "MAIL",
        Stage::RcptTo => "RCPT",
        Stage::Data => "DATA",
        Stage::FinalDot => "final dot",
    }
}
