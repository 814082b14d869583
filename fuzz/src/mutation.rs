//! Structural mutation of workloads: the result is still a valid document, and malformed text ends up in its values.
//!
//! A mutation changes a value, inserts a piece of `pieces.yaml` where it fits, or copies a part to another place.
//! libFuzzer mutates inputs that are not valid documents.

use std::sync::LazyLock;

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::document::{self, nth, size};

/// Boundary values.
const NUMBERS: [i64; 25] = [
    i64::MIN,
    -1,
    0,
    1,
    2,
    5,
    9,
    10,
    15,
    20,
    25,
    29,
    30,
    31,
    35,
    60,
    120,
    600,
    3600,
    604_800,
    2_592_000,
    2_592_001,
    2_147_483_647,
    4_294_967_296,
    i64::MAX,
];

/// Fields that trigger findings, by the object into which they are merged.
static PIECES: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("pieces.yaml")).expect("pieces.yaml is YAML"));

/// All strings in the pieces.
static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| document::keyed("", &PIECES).into_iter().filter_map(|(_, value)| value.as_str()).collect());

/// Mutates `data[..size]` and returns the new size.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    let document = if dice.once_in(32) { None } else { document::read(&data[..size]) };
    let Some(mut document) = document else { return fuzzer_mutate(data, size, most) };
    for _ in 0..=dice.below(3) {
        edit(&mut document, &mut dice);
    }
    document::write(&document, data, most).unwrap_or_else(|| fuzzer_mutate(data, size, most))
}

/// Copies a part of the second document into the first, to a field with the same name if there is one.
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], seed: u32) -> usize {
    let mut dice = Dice::new(seed);
    let (Some(mut document), Some(other)) = (document::read(one), document::read(other)) else { return 0 };
    if let Some((key, value)) = dice.one_of(&document::keyed("", &other)).copied() {
        let same_name = document::places(&document, |name, _| name == key);
        let place = match dice.one_of(&same_name) {
            Some(at) => nth(&mut document, &mut { *at }),
            None => Some(any(&mut document, &mut dice)),
        };
        if let Some(place) = place {
            *place = value.clone();
        }
    }
    let most = out.len();
    document::write(&document, out, most).unwrap_or(0)
}

fn edit(document: &mut Value, dice: &mut Dice) {
    match dice.below(8) {
        0..4 => {
            // Prefer values that are not objects or lists.
            for _ in 0..8 {
                let value = any(document, dice);
                if !(value.is_object() || value.is_array()) || dice.once_in(6) {
                    return change(value, dice);
                }
            }
        }
        4..7 => put_piece(document, dice),
        _ => {
            let copy = any(document, dice).clone();
            *any(document, dice) = copy;
        }
    }
}

fn any<'a>(document: &'a mut Value, dice: &mut Dice) -> &'a mut Value {
    let mut at = dice.below(size(document));
    nth(document, &mut at).expect("the index is below the number of values")
}

fn change(value: &mut Value, dice: &mut Dice) {
    if dice.once_in(16) {
        let odd = [json!(null), json!({}), json!([]), json!(""), json!(0), json!("5s"), json!(true), json!(0.5)];
        *value = odd[dice.below(odd.len())].clone();
        return;
    }
    match value {
        Value::Null => *value = json!({}),
        Value::Bool(yes) => *yes = !*yes,
        Value::Number(number) => {
            let now = number.as_i64().unwrap_or_default();
            let near = [now.wrapping_add(1), now.wrapping_sub(1), now / 2, now.wrapping_mul(2)];
            let choices = if dice.once_in(2) { &near[..] } else { &NUMBERS[..] };
            *number = dice.one_of(choices).copied().unwrap_or_default().into();
        }
        Value::String(text) => *text = rewritten(text, dice),
        Value::Array(items) => {
            let (one, other) = (dice.below(items.len()), dice.below(items.len()));
            match dice.below(3) {
                _ if items.is_empty() => items.push(json!("")),
                0 => drop(items.remove(one)),
                1 => items.push(items[one].clone()),
                _ => items.swap(one, other),
            }
        }
        Value::Object(fields) => {
            let Some(key) = fields.keys().nth(dice.below(fields.len())).cloned() else { return };
            let Some(field) = fields.shift_remove(&key) else { return };
            if dice.once_in(2) {
                fields.insert(rewritten(&key, dice), field);
            }
        }
    }
}

/// A changed string. A string that contains JSON, such as the record, is changed to other JSON.
fn rewritten(text: &str, dice: &mut Dice) -> String {
    if text.starts_with(['{', '['])
        && !dice.once_in(4)
        && let Ok(mut nested) = serde_json::from_str::<Value>(text)
    {
        edit(&mut nested, dice);
        return nested.to_string();
    }
    if dice.once_in(8)
        && let Some(word) = dice.one_of(&WORDS)
    {
        return (*word).to_owned();
    }
    let mut buffer = text.as_bytes().to_vec();
    let most = buffer.len() + 32;
    buffer.resize(most, 0);
    let length = fuzzer_mutate(&mut buffer, text.len(), most);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn put_piece(document: &mut Value, dice: &mut Dice) {
    let place = if dice.once_in(2) { "workload" } else { "container" };
    let Some(piece) = PIECES[place].as_array().and_then(|pieces| dice.one_of(pieces)) else { return };
    let places = document::places(document, |key, value| match place {
        "workload" => value.pointer("/spec/template").is_some(),
        _ => matches!(key, "containers" | "initContainers") && value.is_object(),
    });
    if let Some(at) = dice.one_of(&places)
        && let Some(place) = nth(document, &mut { *at })
    {
        merge(place, piece);
    }
}

/// Merges objects, appends to lists of objects, and replaces all other values.
fn merge(into: &mut Value, piece: &Value) {
    match (into, piece) {
        (Value::Object(into), Value::Object(piece)) => {
            for (key, value) in piece {
                merge(into.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(piece)) if piece.iter().all(Value::is_object) => {
            into.extend(piece.iter().cloned());
        }
        (into, piece) => *into = piece.clone(),
    }
}
