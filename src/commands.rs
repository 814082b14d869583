//! The subcommands: each takes its arguments and returns the exit code.

#[cfg(feature = "operator")]
pub mod check_install;
pub mod completions;
pub mod crd;
pub mod explain;
pub mod plan;
#[cfg(feature = "operator")]
pub mod run;

/// Runs a future on a runtime with one thread per CPU.
#[cfg(feature = "operator")]
fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // Does not wait for threads that a DNS lookup may still block.
    runtime.shutdown_background();
    Ok(output)
}
