//! Hands the records of an input on in batches: a thread of its own reads and parses the next one while the last one is committed.
//!
//! A file is cut into batches by its content alone, so that the same file is counted the same way however busy the machine is (`R-CHANNEL`). A pipe is
//! cut where it pauses, too: a program that writes a lead now and then sees it taken in, not kept waiting for its thousandth.
//!
//! **Invariant:** memory is bounded by two batches, whatever the size of the input: the one that is committed, and what waits meanwhile. A record takes
//! several times its text.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::app::take_in::{Incoming, Origin, Outcome, Taken, take_in};
use crate::app::{self, Rules};
use crate::clock::Clock;
use crate::intake::file::{self, Item, Records};
use crate::lead::record::{Source, parse};
use crate::store::Store;
use crate::time::Timestamp;

/// Bytes of input after which a batch ends, however few its records are: of ordinary records a thousand are a tenth of it.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a pipe may pause within a batch: longer than a program needs from one write to the next, shorter than anybody waits for a mail.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Records of a pipe that wait to be taken in.
const PIPED_MAX: usize = 128;

/// In how many pieces a file's batch is handed on. While one batch is committed, [`CHUNKS_WAITING`] pieces of the next one wait and one more is read: with
/// a whole batch in each place an import of 100,000 leads took 14 MiB more.
const CHUNKS_A_BATCH: usize = 8;

/// Pieces of a file that wait.
const CHUNKS_WAITING: usize = 2;

/// Where an input comes from, as far as it is cut differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// All of it is there.
    File,
    /// It comes as somebody writes it.
    Pipe,
}

/// Why an input was not taken in to its end; what came before stays taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input as a whole is wrong from here on.
    #[error(transparent)]
    File(#[from] file::Error),
    /// It could not be recorded.
    #[error(transparent)]
    App(#[from] app::Error),
}

/// The records of an input in batches, each read as a `T`.
pub struct Batches<T> {
    chunks: mpsc::Receiver<Vec<Parsed<T>>>,
    reader: Option<JoinHandle<Result<(), file::Error>>>,
    records_max: usize,
    flow: Flow,
    consumed_bytes: u64,
}

struct Parsed<T> {
    record: T,
    n_bytes: usize,
    consumed_bytes: u64,
}

impl<T: Send + 'static> Batches<T> {
    /// Begins to read. `parse` makes of an item what the batches are of.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(records: Records, flow: Flow, records_max: usize, parse: impl FnMut(Item) -> T + Send + 'static) -> io::Result<Self> {
        let (chunk_max, waiting_max) = match flow {
            Flow::File => (records_max.div_ceil(CHUNKS_A_BATCH), CHUNKS_WAITING),
            // One by one: whoever writes a lead now and then sees it taken in.
            Flow::Pipe => (1, PIPED_MAX),
        };
        let (sender, chunks) = mpsc::channel(waiting_max);
        // Not one of the runtime's blocking threads: whoever ends before the input does must not wait for a pipe that stays open.
        let reader = std::thread::Builder::new()
            .name("intake".to_owned())
            .spawn(move || read(records, chunk_max, records_max, parse, &sender))?;
        Ok(Self {
            chunks,
            reader: Some(reader),
            records_max,
            flow,
            consumed_bytes: 0,
        })
    }

    /// Returns the next batch; `None` at the end.
    ///
    /// # Errors
    /// The input as a whole is wrong from here on; every record before that was in a batch.
    ///
    /// # Panics
    /// Where the reading did.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, file::Error> {
        let mut batch = Vec::new();
        let mut n_bytes = 0;
        while batch.len() < self.records_max && n_bytes < BATCH_BYTES_MAX {
            let chunk = match self.flow {
                Flow::Pipe if !batch.is_empty() => match timeout(PAUSE_MAX, self.chunks.recv()).await {
                    Ok(chunk) => chunk,
                    Err(_) => break,
                },
                Flow::Pipe | Flow::File => self.chunks.recv().await,
            };
            let Some(chunk) = chunk else { break };
            for parsed in chunk {
                n_bytes += parsed.n_bytes;
                self.consumed_bytes = parsed.consumed_bytes;
                batch.push(parsed.record);
            }
        }
        if batch.is_empty() {
            self.end().map(|()| None)
        } else {
            Ok(Some(batch))
        }
    }

    /// Returns how many bytes of the input are behind the last batch.
    pub fn consumed_bytes(&self) -> u64 {
        self.consumed_bytes
    }

    /// Tells how the reading ended. The thread has let go of the channel, and so is at its end.
    fn end(&mut self) -> Result<(), file::Error> {
        match self.reader.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(ended)) => ended,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

/// Reads in chunks, of which each ends where a batch does: the batches are counted here as in [`Batches::next`].
fn read<T>(
    mut records: Records,
    chunk_max: usize,
    records_max: usize,
    mut parse: impl FnMut(Item) -> T,
    sender: &mpsc::Sender<Vec<Parsed<T>>>,
) -> Result<(), file::Error> {
    let (mut n_records, mut n_bytes) = (0, 0);
    loop {
        let mut chunk = Vec::with_capacity(chunk_max);
        let mut ended = None;
        while chunk.len() < chunk_max && n_records < records_max && n_bytes < BATCH_BYTES_MAX {
            match records.next() {
                Some(Ok(item)) => {
                    n_records += 1;
                    n_bytes += item.text.len();
                    chunk.push(Parsed {
                        n_bytes: item.text.len(),
                        record: parse(item),
                        consumed_bytes: records.consumed_bytes(),
                    });
                }
                Some(Err(error)) => ended = Some(Err(error)),
                None => ended = Some(Ok(())),
            }
            if ended.is_some() {
                break;
            }
        }
        if n_records == records_max || n_bytes >= BATCH_BYTES_MAX {
            (n_records, n_bytes) = (0, 0);
        }
        let is_unheard = !chunk.is_empty() && sender.blocking_send(chunk).is_err();
        if let Some(ended) = ended {
            return ended;
        }
        if is_unheard {
            return Ok(());
        }
    }
}

/// Begins to read leads that come from `origin`.
///
/// # Errors
/// The system gives no thread.
pub fn leads(records: Records, flow: Flow, origin: &Arc<Origin>, clock: Clock) -> io::Result<Batches<Incoming>> {
    let origin = Arc::clone(origin);
    Batches::start(records, flow, app::take_in::BATCH_MAX, move |item| {
        incoming(clock.now(), item, &origin)
    })
}

/// Reads what an item says of a lead. Where it stands is a part of who it is, if it is a marketplace lead.
pub(crate) fn incoming(now: Timestamp, item: Item, origin: &Arc<Origin>) -> Incoming {
    let place = format!("{}:{}", origin.source, item.line);
    let source = Source {
        partner: origin.partner.as_ref(),
        place: &place,
        received_at: now,
    };
    let parsed = item.content.map_err(|fault| vec![fault]).and_then(|value| parse(value, &source));
    Incoming {
        origin: Arc::clone(origin),
        line: item.line,
        text: item.text,
        parsed,
    }
}

/// How many records became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New leads.
    pub n_new: u64,
    /// Newer content of leads that were here.
    pub n_updated: u64,
    /// Not newer than what was here.
    pub n_unchanged: u64,
    /// Kept in the list of rejected records.
    pub n_rejected: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::New => self.n_new += 1,
            Outcome::Updated => self.n_updated += 1,
            Outcome::Unchanged => self.n_unchanged += 1,
            Outcome::Rejected(_) => self.n_rejected += 1,
        }
    }
}

/// Takes all leads of an input in, batch by batch. `told` hears of each batch once it is committed, and how many bytes of the input are behind it;
/// `counts` holds what was taken in when this fails, too.
///
/// # Errors
/// The input as a whole is wrong, or the database cannot record it; what came before stays taken in.
pub async fn take_in_all(
    batches: &mut Batches<Incoming>,
    store: &Store,
    clock: Clock,
    rules: &Rules,
    counts: &mut Counts,
    mut told: impl FnMut(&[Taken], u64),
) -> Result<(), Error> {
    while let Some(batch) = batches.next().await? {
        let taken = take_in(store, clock.now(), rules, &batch).await?;
        for one in &taken {
            counts.add(&one.outcome);
        }
        told(&taken, batches.consumed_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::intake::file::Input;

    fn lines(n_lines: usize) -> String {
        (1..=n_lines).map(|n| format!("{{\"id\": \"L{n}\"}}\n")).collect()
    }

    async fn sizes(text: String, flow: Flow, records_max: usize) -> (Vec<usize>, Result<(), file::Error>) {
        let records = file::read("in", Cursor::new(text), Input::Leads).expect("it is recognised");
        let mut batches = Batches::start(records, flow, records_max, |item| item.line).expect("a thread can be had");
        let mut sizes = Vec::new();
        loop {
            match batches.next().await {
                Ok(Some(batch)) => sizes.push(batch.len()),
                Ok(None) => return (sizes, Ok(())),
                Err(error) => return (sizes, Err(error)),
            }
        }
    }

    /// `R-CHANNEL`: a batch is counted in the order of creation, so where a batch ends is part of the answer.
    #[tokio::test]
    async fn an_input_is_cut_by_its_records() {
        for (n_lines, expected) in [(0, &[][..]), (1, &[1]), (10, &[10]), (11, &[10, 1]), (30, &[10, 10, 10])] {
            for flow in [Flow::File, Flow::Pipe] {
                let (sizes, ended) = sizes(lines(n_lines), flow, 10).await;
                assert_eq!(sizes, expected, "{n_lines} by {flow:?}");
                assert!(ended.is_ok());
            }
        }
    }

    #[tokio::test]
    async fn what_came_before_the_end_of_a_list_cut_short_is_handed_on() {
        let (sizes, ended) = sizes("[{\"id\": \"L1\"}, {\"id\": \"L2\"}, {\"id\": \"L3\"}".to_owned(), Flow::File, 2).await;
        assert_eq!(sizes, [2, 1]);
        assert!(matches!(ended, Err(file::Error::CutShort { .. })), "{ended:?}");
    }

    #[tokio::test]
    async fn long_records_make_short_batches() {
        let line = format!("{{\"id\": \"{}\"}}\n", "x".repeat(1_000_000));
        let (sizes, _) = sizes(line.repeat(20), Flow::File, 1000).await;
        assert_eq!(sizes, [9, 9, 2]);
    }

    /// A pipe that pauses is no reason to keep its records waiting.
    #[tokio::test]
    async fn a_pipe_that_pauses_ends_its_batch() {
        let (reader, mut writer) = io::pipe().expect("a pipe can be made");
        let records = tokio::task::spawn_blocking(move || file::read("-", reader, Input::Leads));
        io::Write::write_all(&mut writer, lines(3).as_bytes()).expect("the pipe takes it");
        let records = records.await.expect("no panic").expect("it is recognised");
        let mut batches = Batches::start(records, Flow::Pipe, 1000, |item| item.line).expect("a thread can be had");
        assert_eq!(batches.next().await.expect("no fault"), Some(vec![1, 2, 3]));
        drop(writer);
        assert_eq!(batches.next().await.expect("no fault"), None);
    }
}
