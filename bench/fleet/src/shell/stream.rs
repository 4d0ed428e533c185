//! A connection as lines: what is heard goes into a channel, what is to be said comes out of one. Both are bounded.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::wire;

/// Lines that wait to be written to one connection, at most; the protocol has fewer on their way.
pub(super) const UNSAID_MOST: usize = 64;

/// How long the other end may take to close, after the last line was said to it.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// Hears lines until the connection ends or one is none, and hands each over; the answer is why it ended. The first line may have `first_most`
/// bytes.
pub(super) async fn hear<R, T, H>(reader: R, first_most: usize, mut heard: H) -> String
where
    R: AsyncRead + Unpin,
    T: DeserializeOwned,
    H: AsyncFnMut(T),
{
    let mut reader = BufReader::new(reader);
    let mut most = first_most;
    loop {
        match read_line(&mut reader, most).await {
            Ok(Some(line)) => match wire::read(&line) {
                Ok(message) => heard(message).await,
                Err(error) => return error.to_string(),
            },
            Ok(None) => return "the connection was closed".to_owned(),
            Err(error) => return format!("the connection broke: {error}"),
        }
        most = wire::LINE_MOST;
    }
}

/// A line without its end; `None` at the end of the connection, whatever stands unfinished before it.
async fn read_line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.take(most as u64).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() + 1 >= most => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("a line of more than {most} bytes")))
        }
        Some(_) | None => Ok(None),
    }
}

/// Says lines until there are no more, then that there are none.
pub(super) async fn say<W: AsyncWrite + Unpin>(mut writer: W, mut lines: Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(line) = lines.recv().await {
        writer.write_all(&line).await?;
    }
    // A connection that the other end has closed already is what is wanted.
    timeout(FAREWELL, writer.shutdown()).await.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(text: &[u8], first_most: usize) -> (Vec<u64>, String) {
        let mut numbers = Vec::new();
        let why = hear(text, first_most, async |number: u64| numbers.push(number)).await;
        (numbers, why)
    }

    #[test]
    fn lines_are_heard_until_one_is_none() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(heard(b"1\n22\n", 3).await, (vec![1, 22], "the connection was closed".to_owned()));
            assert_eq!(heard(b"1\n22", 3).await, (vec![1], "the connection was closed".to_owned()));
            let (numbers, why) = heard(b"333\n", 3).await;
            assert_eq!((numbers, why.contains("a line of more than 3 bytes")), (vec![], true), "{why}");
            let long = [b"1\n".as_slice(), &vec![b'2'; wire::LINE_MOST + 1]].concat();
            assert!(heard(&long, 3).await.1.contains("a line of more than 524288 bytes"));
            assert!(heard(b"1\nGET / HTTP/1.1\r\n", 3).await.1.contains("does not speak the fleet's protocol"));
        });
    }
}
