//! x
use std::collections::BTreeMap;
use winddown::settlement::Origin;
use winddown_fuzz::{document, laws};
use winddown::injection::Record;
fn main() {
    let (mut codes, mut n, mut ok, mut un) = (BTreeMap::<String, usize>::new(), 0, 0, BTreeMap::<String, usize>::new());
    let mut rec = BTreeMap::<String, usize>::new();
    for dir in std::env::args().skip(1) {
        for e in std::fs::read_dir(dir).unwrap() {
            let Ok(d) = std::fs::read(e.unwrap().path()) else { continue };
            n += 1;
            let Some(w) = document::read(&d) else { continue };
            if let Some(t) = w.pointer("/spec/template") {
                let k = match Record::of(t) { Ok(None) => "none".into(), Ok(Some(r)) => format!("read {}", winddown::injection::undo(t, |_,_| false).map(|b| b.intact).unwrap_or(false) as u8 + 2 * (r.in_words().contains("grace")) as u8), Err(e) => e.to_string().chars().take(30).collect::<String>() };
                *rec.entry(k).or_default() += 1;
            }
            match laws::settled(&w, Origin::File) {
                Ok(s) => { ok += 1; for f in s.findings { *codes.entry(format!("{:?}", f.code)).or_default() += 1; } if s.desired != w { *codes.entry("=changed".into()).or_default() += 1; } }
                Err(e) => *un.entry(e.chars().take(40).collect()).or_default() += 1,
            }
        }
    }
    println!("{n} inputs, {ok} settled\n{codes:#?}\n{rec:#?}\n{}", un.len());
}
