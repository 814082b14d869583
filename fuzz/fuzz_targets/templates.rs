//! Evaluation of arbitrary workloads.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_crossover, fuzz_mutator, fuzz_target};
use winddown_fuzz::{document, laws, mutation};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some(workload) = document::read(data) else { return Corpus::Reject };
    // Unreadable workloads are not kept in the corpus; the target `reviews` covers them.
    if laws::hold_for(&workload) { Corpus::Keep } else { Corpus::Reject }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutation::mutate(data, size, max_size, seed)
});
fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| { mutation::cross(one, other, out, seed) });
