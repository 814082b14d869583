//! What `-f` means: files, folders, patterns and standard input, as text.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// A file and what stands in it, or why nobody can tell.
pub(super) struct Input {
    pub(super) name: String,
    /// Whether it was come upon in a folder or by a pattern, and not named.
    pub(super) found: bool,
    pub(super) text: Result<String, Unreadable>,
}

/// Why an input is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is larger than {} MiB", LARGEST / MEBIBYTE)]
    TooLarge,
    #[error("line {line}: is neither UTF-8 nor UTF-16 with a byte order mark")]
    Encoding { line: usize },
    #[error("is a pattern that cannot be read: {0}")]
    Pattern(glob::PatternError),
    #[error("there is no file of that pattern")]
    NoMatch,
    #[error("there is no .yaml, .yml or .json file in this folder{}", if *recursive { "" } else { " (--recursive looks below)" })]
    NoManifest { recursive: bool },
    #[error("standard input can be read only once")]
    Twice,
}

const MEBIBYTE: u64 = 1024 * 1024;
/// Far more than any manifest; a stream without an end would take all memory.
const LARGEST: u64 = 64 * MEBIBYTE;
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads everything that is named, in order.
pub(super) fn read(named: &[PathBuf], recursive: bool, stdin: &mut impl Read) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut stdin = Some(stdin);
    for path in named {
        if path.as_os_str() == "-" {
            let text = stdin.take().ok_or(Unreadable::Twice).and_then(text);
            inputs.push(Input { name: "standard input".to_owned(), found: false, text });
            continue;
        }
        match files(path, recursive) {
            Ok(files) => inputs.extend(files.into_iter().map(|file| Input {
                name: file.display().to_string(),
                found: file != *path,
                text: File::open(&file).map_err(Unreadable::Io).and_then(text),
            })),
            Err(error) => inputs.push(Input { name: path.display().to_string(), found: false, text: Err(error) }),
        }
    }
    inputs
}

/// The files that a path stands for.
fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, Unreadable> {
    if path.is_dir() {
        let depth = if recursive { usize::MAX } else { 1 };
        let mut files = below(path, depth)?;
        files.retain(|file| {
            file.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
        });
        return if files.is_empty() { Err(Unreadable::NoManifest { recursive }) } else { Ok(files) };
    }
    let text = path.to_string_lossy();
    if path.exists() || !text.contains(['*', '?', '[']) {
        return Ok(vec![path.to_owned()]);
    }
    let files = matching(&text)?;
    if files.is_empty() { Err(Unreadable::NoMatch) } else { Ok(files) }
}

/// The files that a pattern matches, which a shell would have found.
fn matching(text: &str) -> Result<Vec<PathBuf>, Unreadable> {
    let pattern = Pattern::new(text).map_err(Unreadable::Pattern)?;
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let is_literal = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let folder: PathBuf = Path::new(text).components().take_while(is_literal).collect();
    let depth =
        if text.contains("**") { usize::MAX } else { Path::new(text).components().skip_while(is_literal).count() };
    if !folder.as_os_str().is_empty() && !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = below(&folder, depth)?;
    files.retain(|file| pattern.matches_path_with(file, options));
    Ok(files)
}

/// The files in a folder and, up to a depth, below it, sorted; what is hidden is left alone. No folder is looked into twice,
/// whatever links there are.
fn below(folder: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut folders = vec![(folder.to_owned(), depth)];
    while let Some((folder, depth)) = folders.pop() {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        if !seen.insert(here.canonicalize()?) {
            continue;
        }
        for entry in fs::read_dir(here)? {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let path = folder.join(name);
            if !path.is_dir() {
                files.push(path);
            } else if depth > 1 {
                folders.push((path, depth - 1));
            }
        }
    }
    files.sort();
    Ok(files)
}

fn text(reader: impl Read) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(Unreadable::TooLarge);
    }
    decoded(bytes)
}

/// UTF-8, or what its byte order mark says.
fn decoded(bytes: Vec<u8>) -> Result<String, Unreadable> {
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf_8(rest.to_vec()),
        _ => utf_8(bytes),
    }
}

fn utf_16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Unreadable> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::new();
    for char in char::decode_utf16(pairs.iter().copied().map(unit)) {
        text.push(char.map_err(|_| undecodable(&text))?);
    }
    if rest.is_empty() { Ok(text) } else { Err(undecodable(&text)) }
}

fn utf_8(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes)
        .map_err(|error| undecodable(&String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()])))
}

fn undecodable(before: &str) -> Unreadable {
    Unreadable::Encoding { line: 1 + before.matches('\n').count() }
}

#[cfg(test)]
mod tests;
