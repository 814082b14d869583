use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{fs, process};

use super::{Input, InputError, decode, read, read_text};

/// A directory for one test, deleted at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str, files: &[&str]) -> Self {
        let directory = std::env::temp_dir().join(format!("winddown-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&directory);
        for file in files {
            let file = directory.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "a: 1\n").unwrap();
        }
        Self(directory)
    }

    fn read(&self, path: &str, recursive: bool) -> Vec<Input> {
        read(&[self.0.join(path)], recursive, &mut [].as_slice()).collect()
    }

    /// The files of a path or pattern, relative to the directory, or errors.
    fn found(&self, path: &str, recursive: bool) -> Vec<String> {
        let name = |input: Input| match input.text {
            Ok(_) => Path::new(&input.name).strip_prefix(&self.0).unwrap().display().to_string(),
            Err(error) => error.to_string(),
        };
        self.read(path, recursive).into_iter().map(name).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_named_file_does_not_count_as_discovered() {
    let directory = Directory::new("discovered", &["a.yaml"]);
    for (path, discovered) in [("", true), ("*.yaml", true), ("a.yaml", false)] {
        assert_eq!(directory.read(path, false)[0].discovered, discovered, "{path}");
    }
}

#[test]
fn a_directory_yields_its_manifests_sorted_and_subdirectories_only_with_recursive() {
    let directory = Directory::new(
        "directory",
        &["b.yaml", "a.yml", "c.json", "README.md", ".hidden.yaml", "below/d.yaml", ".git/e.yaml"],
    );
    assert_eq!(directory.found("", false), ["a.yml", "b.yaml", "c.json"]);
    assert_eq!(directory.found("", true), ["a.yml", "b.yaml", "below/d.yaml", "c.json"]);
    assert_eq!(directory.found("README.md", false), ["README.md"]);
}

#[test]
fn patterns_match_by_the_rules_of_a_shell() {
    let directory = Directory::new(
        "pattern",
        &["a.yaml", "b.yaml", ".c.yaml", "x/a.yaml", "x/y/a.yaml", "z/b.json", "odd[1].yaml"],
    );
    for (pattern, expected) in [
        ("*.yaml", vec!["a.yaml", "b.yaml", "odd[1].yaml"]),
        ("?.yaml", vec!["a.yaml", "b.yaml"]),
        ("*/a.yaml", vec!["x/a.yaml"]),
        ("**/a.yaml", vec!["a.yaml", "x/a.yaml", "x/y/a.yaml"]),
        ("x/**/*.yaml", vec!["x/a.yaml", "x/y/a.yaml"]),
        ("[z]/*", vec!["z/b.json"]),
        ("odd[1].yaml", vec!["odd[1].yaml"]),
        ("*.nothing", vec!["no files match this pattern"]),
        ("nowhere/*.yaml", vec!["no files match this pattern"]),
    ] {
        assert_eq!(directory.found(pattern, false), expected, "{pattern}");
    }
    assert!(directory.found("[", false)[0].starts_with("invalid pattern"));
}

#[test]
fn no_directory_is_read_twice_whatever_the_links() {
    let directory = Directory::new("links", &["a.yaml", "below/b.yaml"]);
    for (name, target) in [("here", "."), ("there", "."), ("below/up", ".."), ("below/again", "../below")] {
        symlink(target, directory.0.join(name)).unwrap();
    }
    symlink("self.yaml", directory.0.join("self.yaml")).unwrap();
    let found = directory.found("", true);
    assert_eq!((found.len(), &found[..2]), (3, ["a.yaml".to_owned(), "below/b.yaml".to_owned()].as_slice()));
    assert!(found[2].starts_with("cannot be read"), "{found:?}");
    assert_eq!(directory.found("**/b.yaml", true), ["below/b.yaml"]);
}

#[test]
fn linked_directories_are_read_once_and_hidden_broken_links_are_ignored() {
    let directory = Directory::new("linked", &["real/a.yaml"]);
    for (name, target) in
        [("a-link", "real"), ("other-link", "real"), (".#lock.yaml", "nowhere"), ("gone.yaml", "nowhere")]
    {
        symlink(target, directory.0.join(name)).unwrap();
    }
    let found = directory.found("", true);
    assert_eq!((found.len(), found[0].as_str()), (2, "a-link/a.yaml"), "{found:?}");
    assert!(found[1].starts_with("cannot be read: No such file"), "{found:?}");
}

#[test]
fn missing_files_and_manifests_are_errors() {
    let directory = Directory::new("empty", &["README.md", "below/a.yaml"]);
    assert!(
        directory.found("", false)[0]
            .contains("no .yaml, .yml or .json files in this directory; --recursive includes subdirectories")
    );
    assert!(directory.found("none.yaml", false)[0].starts_with("cannot be read: No such file"));
}

#[test]
fn standard_input_is_read_once() {
    let mut stdin = b"a: 1".as_slice();
    let inputs: Vec<_> = read(&["-".into(), "-".into()], false, &mut stdin).collect();
    assert_eq!(inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["standard input"; 2]);
    assert!(matches!((&inputs[0].text, &inputs[1].text), (Ok(_), Err(InputError::StdinTwice))));
}

#[test]
fn an_endless_stream_is_an_error() {
    assert!(matches!(read_text(std::io::repeat(b' ')), Err(InputError::TooLarge)));
}

#[test]
fn the_byte_order_mark_selects_the_encoding() {
    let bytes = |mark: &[u8], units: &dyn Fn(u16) -> [u8; 2]| {
        mark.iter().copied().chain("a: ö\n😀".encode_utf16().flat_map(units)).collect::<Vec<u8>>()
    };
    let little = bytes(&[0xff, 0xfe], &u16::to_le_bytes);
    for bytes in [little.clone(), bytes(&[0xfe, 0xff], &u16::to_be_bytes), "\u{feff}a: ö\n😀".into(), "a: ö\n😀".into()]
    {
        assert_eq!(decode(bytes).unwrap(), "a: ö\n😀");
    }
    for (bytes, line) in [(b"a\nb\xff".to_vec(), 2), (little[..little.len() - 2].to_vec(), 2), (vec![0xff, 0xfe, 0], 1)]
    {
        let error = decode(bytes).unwrap_err().to_string();
        assert_eq!(error, format!("line {line}: invalid encoding: expected UTF-8, or UTF-16 with a byte order mark"));
    }
}
