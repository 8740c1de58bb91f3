//! Standard output, whose reader may go away at any time.

use std::io::{self, BufWriter, Write};

use super::exit::{Exit, Failure};

/// Writes to standard output. A reader that has gone away, such as `head`, wants no more; that is no failure.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    print_to(io::stdout().lock(), write).map(drop)
}

/// Whether anybody reads standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reader {
    There,
    Gone,
}

/// As [`print`], for what goes on: tells whether more is wanted.
pub(super) fn tell(bytes: &[u8]) -> Result<Reader, Failure> {
    print_to(io::stdout().lock(), |out| out.write_all(bytes))
}

fn print_to(output: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Reader, Failure> {
    let mut output = BufWriter::new(output);
    let written = write(&mut output).and_then(|()| output.flush());
    // What is still in the buffer could not be written; dropping the buffer would try again.
    drop(output.into_parts());
    match written {
        Ok(()) => Ok(Reader::There),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::new(Exit::Refused, format_args!("cannot write to standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that fails in one way.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert_eq!(print_to(Failing(io::ErrorKind::BrokenPipe), |out| writeln!(out, "report")), Ok(Reader::Gone));
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        let failure = print_to(Failing(io::ErrorKind::StorageFull), |out| writeln!(out, "report")).expect_err("full");
        assert_eq!(failure.exit(), Exit::Refused);
    }
}
