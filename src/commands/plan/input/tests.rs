use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{fs, process};

use super::{Input, Unreadable, decoded, read, text};

/// A folder for a test, gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("winddown-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        for file in files {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "a: 1\n").unwrap();
        }
        Self(folder)
    }

    fn read(&self, path: &str, recursive: bool) -> Vec<Input> {
        read(&[self.0.join(path)], recursive, &mut [].as_slice())
    }

    /// What is found under a path or pattern, each by its path in the folder.
    fn found(&self, path: &str, recursive: bool) -> Vec<String> {
        let named = |input: Input| match input.text {
            Ok(_) => Path::new(&input.name).strip_prefix(&self.0).unwrap().display().to_string(),
            Err(error) => error.to_string(),
        };
        self.read(path, recursive).into_iter().map(named).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn who_names_a_file_has_not_come_upon_it() {
    let folder = Folder::new("found", &["a.yaml"]);
    for (path, found) in [("", true), ("*.yaml", true), ("a.yaml", false)] {
        assert_eq!(folder.read(path, false)[0].found, found, "{path}");
    }
}

#[test]
fn a_folder_gives_its_manifests_sorted_and_what_is_below_only_if_asked() {
    let folder = Folder::new(
        "folder",
        &["b.yaml", "a.yml", "c.json", "README.md", ".hidden.yaml", "below/d.yaml", ".git/e.yaml"],
    );
    assert_eq!(folder.found("", false), ["a.yml", "b.yaml", "c.json"]);
    assert_eq!(folder.found("", true), ["a.yml", "b.yaml", "below/d.yaml", "c.json"]);
    assert_eq!(folder.found("README.md", false), ["README.md"]);
}

#[test]
fn a_pattern_matches_what_a_shell_would_have_found() {
    let folder =
        Folder::new("pattern", &["a.yaml", "b.yaml", ".c.yaml", "x/a.yaml", "x/y/a.yaml", "z/b.json", "odd[1].yaml"]);
    for (pattern, expected) in [
        ("*.yaml", vec!["a.yaml", "b.yaml", "odd[1].yaml"]),
        ("?.yaml", vec!["a.yaml", "b.yaml"]),
        ("*/a.yaml", vec!["x/a.yaml"]),
        ("**/a.yaml", vec!["a.yaml", "x/a.yaml", "x/y/a.yaml"]),
        ("x/**/*.yaml", vec!["x/a.yaml", "x/y/a.yaml"]),
        ("[z]/*", vec!["z/b.json"]),
        ("odd[1].yaml", vec!["odd[1].yaml"]),
        ("*.nothing", vec!["there is no file of that pattern"]),
        ("nowhere/*.yaml", vec!["there is no file of that pattern"]),
    ] {
        assert_eq!(folder.found(pattern, false), expected, "{pattern}");
    }
    assert!(folder.found("[", false)[0].starts_with("is a pattern that cannot be read"));
}

#[test]
fn links_in_circles_end() {
    let folder = Folder::new("links", &["a.yaml", "below/b.yaml"]);
    for (name, target) in [("here", "."), ("there", "."), ("below/up", ".."), ("below/again", "../below")] {
        symlink(target, folder.0.join(name)).unwrap();
    }
    symlink("self.yaml", folder.0.join("self.yaml")).unwrap();
    let found = folder.found("", true);
    assert_eq!((found.len(), &found[..2]), (3, ["a.yaml".to_owned(), "below/b.yaml".to_owned()].as_slice()));
    assert!(found[2].starts_with("cannot be read"), "{found:?}");
    assert_eq!(folder.found("**/b.yaml", true), ["below/b.yaml"]);
}

#[test]
fn what_is_not_there_says_so() {
    let folder = Folder::new("empty", &["README.md", "below/a.yaml"]);
    assert!(
        folder.found("", false)[0].contains("no .yaml, .yml or .json file in this folder (--recursive looks below)")
    );
    assert!(folder.found("none.yaml", false)[0].starts_with("cannot be read: No such file"));
}

#[test]
fn standard_input_is_read_once() {
    let inputs = read(&["-".into(), "-".into()], false, &mut b"a: 1".as_slice());
    assert_eq!(inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["standard input"; 2]);
    assert!(matches!((&inputs[0].text, &inputs[1].text), (Ok(_), Err(Unreadable::Twice))));
}

#[test]
fn what_has_no_end_is_not_read_to_it() {
    assert!(matches!(text(std::io::repeat(b' ')), Err(Unreadable::TooLarge)));
}

#[test]
fn a_byte_order_mark_says_how_to_read() {
    let bytes = |mark: &[u8], units: &dyn Fn(u16) -> [u8; 2]| {
        mark.iter().copied().chain("a: ö\n😀".encode_utf16().flat_map(units)).collect::<Vec<u8>>()
    };
    let little = bytes(&[0xff, 0xfe], &u16::to_le_bytes);
    for bytes in [little.clone(), bytes(&[0xfe, 0xff], &u16::to_be_bytes), "\u{feff}a: ö\n😀".into(), "a: ö\n😀".into()]
    {
        assert_eq!(decoded(bytes).unwrap(), "a: ö\n😀");
    }
    for (bytes, line) in [(b"a\nb\xff".to_vec(), 2), (little[..little.len() - 2].to_vec(), 2), (vec![0xff, 0xfe, 0], 1)]
    {
        let error = decoded(bytes).unwrap_err().to_string();
        assert_eq!(error, format!("line {line}: is neither UTF-8 nor UTF-16 with a byte order mark"));
    }
}
