//! An adapter of the Etui conformance suite, for a library in Rust.
//!
//! The suite starts this program once and asks it things: a JSON object a line on standard input, and for each an
//! answer, a JSON object a line, on standard output. Standard error is yours: what you print there is shown beside a
//! failure.
//!
//! ```text
//! cargo build --release && etui-conformance smoke --adapter target/release/adapter
//! etui-conformance run --profile weights-reader --adapter target/release/adapter
//! ```
//!
//! The adapter claims nothing yet, and so answers every question but `hello`, `reset` and `bye` with `unsupported`.
//! It grows in this order, and each step turns checks from "not claimed" into "passed":
//!
//! 1. `decode`: call your library, answer with what it read, and claim it in `CLAIMED_OPS` and `hello`.
//! 2. `validate`: call your library's full verification.
//! 3. `encode` and `transcode`: call your library's writer.
//!
//! SPEC.md, annex P, says what each request and each answer holds. `json.rs` and `base64.rs` are there so that the
//! adapter builds without a registry; put serde_json and base64 in their place if you like.

mod base64;
mod json;

use json::Value;
use std::fs;
use std::io::{self, BufRead, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

const CLAIMED_OPS: &[&str] = &[]; // decode, validate, encode, transcode: what you have written below
const INLINE_LIMIT: usize = 1 << 20; // bytes; larger data goes by file

/// Why a request is not answered with `ok`.
#[allow(dead_code)] // Reject waits for your library
enum Failure {
    /// Your library refuses the artifact, as SPEC.md chapter 20 says.
    Reject {
        class: String,
        code: String,
        at: String,
    },
    /// Your library does not have what is asked for.
    Unsupported(String),
    /// The adapter failed, not the artifact.
    Fault(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Fault(error.to_string())
    }
}

/// The fields of an answer `ok`.
type Answer = Result<Vec<(&'static str, Value)>, Failure>;

/// What the suite asks: each method takes a request and gives the fields of the answer `ok`.
#[derive(Default)]
struct Adapter {
    folder: PathBuf, // where files go between the suite and you; named by hello
    files: usize,
}

impl Adapter {
    /// Say who you are, and claim what you can do; nobody asks for what you do not claim.
    fn hello(&mut self, request: &Value) -> Answer {
        let protocol = request.text("protocol").unwrap_or_default();
        if !protocol.starts_with("1.") {
            return Err(Failure::Unsupported(format!("protocol:{protocol}")));
        }
        self.folder = request.text("folder").unwrap_or_default().into();
        Ok(vec![
            ("name", "my-etui".into()),
            ("version", "0.1".into()),
            ("language", "rust".into()),
            ("ops", names(CLAIMED_OPS)),
            ("areas", names(&[])), // weights, config, training, optimizer, state, parts
            ("forms", names(&[])), // packed, directory
            ("features", names(&[])), // chunks, encoding.complex, encoding.packed4, encoding.quantized, …
            ("dtypes", names(&[])),   // float32, int8, …: those of SPEC.md chapter 2.1
            ("formats", names(&[])),
        ])
    }

    /// Open an artifact and answer with what it holds: identity, profile, content, read.
    fn decode(&mut self, request: &Value) -> Answer {
        let path = self.path_of(request.get("artifact"))?;
        // Call your library here, for example:
        //     let model = my_etui::open(&path).map_err(|error| Failure::Reject { … })?;
        //     Ok(vec![("identity", model.identity().into()), ("profile", …), ("content", …), ("read", …)])
        // A tensor is an object with dtype, shape, and the field that data_of gives for its bytes.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Err(Failure::Unsupported(format!("op:decode of {name}")))
    }

    /// Verify every byte of an artifact, or check one document.
    fn validate(&mut self, request: &Value) -> Answer {
        if request.text("document").is_some() {
            let data = bytes_of(request.get("data"))?;
            return Err(Failure::Unsupported(format!(
                "op:validate of a document of {} bytes",
                data.len()
            )));
        }
        Err(Failure::Unsupported("op:validate".to_string()))
    }

    /// Forget everything: the next request must not find traces of those before.
    fn reset(&mut self) -> Answer {
        Ok(vec![])
    }

    /// Bytes on their way to the suite, as a field of an answer.
    #[allow(dead_code)] // waits for your library
    fn data_of(&mut self, data: &[u8]) -> io::Result<(&'static str, Value)> {
        if data.len() < INLINE_LIMIT {
            return Ok(("data", base64::encode(data).into()));
        }
        Ok((
            "file",
            self.written(data)?.to_string_lossy().into_owned().into(),
        ))
    }

    /// Where an artifact is: its folder, or its packed file, which is written if it came inline.
    fn path_of(&mut self, artifact: &Value) -> Result<PathBuf, Failure> {
        if let Some(folder) = artifact.text("directory") {
            return Ok(folder.into());
        }
        let packed = artifact.get("packed");
        match packed.text("file") {
            Some(file) => Ok(file.into()),
            None => Ok(self.written(&bytes_of(packed)?)?),
        }
    }

    fn written(&mut self, data: &[u8]) -> io::Result<PathBuf> {
        self.files += 1;
        let path = self.folder.join(format!("adapter-{}.bin", self.files));
        fs::write(&path, data)?;
        Ok(path)
    }

    fn answer(&mut self, request: &Value) -> Answer {
        let op = request.text("op").unwrap_or_default();
        if !["hello", "reset", "bye"].contains(&op) && !CLAIMED_OPS.contains(&op) {
            return Err(Failure::Unsupported(format!("op:{op}")));
        }
        match op {
            "hello" => self.hello(request),
            "decode" => self.decode(request),
            "validate" => self.validate(request),
            "reset" => self.reset(),
            "bye" => Ok(vec![]), // the last request; the program ends behind it
            _ => Err(Failure::Unsupported(format!("op:{op}"))),
        }
    }
}

/// Bytes that the suite sends: base64 or a file.
fn bytes_of(data: &Value) -> Result<Vec<u8>, Failure> {
    if let Some(file) = data.text("file") {
        return Ok(fs::read(Path::new(file))?);
    }
    let text = data.text("data").unwrap_or_default();
    base64::decode(text).ok_or_else(|| Failure::Fault("no base64 in the request".to_string()))
}

fn names(names: &[&str]) -> Value {
    Value::List(names.iter().map(|&name| name.into()).collect())
}

/// The whole answer to a request, whatever happens.
fn answered(adapter: &mut Adapter, request: &Value) -> Value {
    let result = panic::catch_unwind(AssertUnwindSafe(|| adapter.answer(request)))
        .unwrap_or_else(|_| Err(Failure::Fault("a panic; see standard error".to_string())));
    let (result, mut fields) = match result {
        Ok(fields) => ("ok", fields),
        Err(Failure::Reject { class, code, at }) => (
            "reject",
            vec![
                ("class", class.into()),
                ("code", code.into()),
                ("at", at.into()),
            ],
        ),
        Err(Failure::Unsupported(what)) => ("unsupported", vec![("what", what.into())]),
        Err(Failure::Fault(message)) => ("fault", vec![("message", message.into())]),
    };
    fields.push(("id", request.get("id").clone()));
    fields.push(("result", result.into()));
    Value::Object(
        fields
            .into_iter()
            .map(|(key, value)| (key.to_string(), value))
            .collect(),
    )
}

/// Answer until the suite says bye, or is gone.
fn main() -> io::Result<()> {
    let mut adapter = Adapter::default();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let request = json::parse(&line)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut output = io::stdout().lock();
        writeln!(output, "{}", answered(&mut adapter, &request))?;
        output.flush()?;
        if request.text("op") == Some("bye") {
            break;
        }
    }
    Ok(())
}
