//! The subcommands: each takes its arguments and returns the exit code.

#[cfg(any(feature = "operator", feature = "cluster"))]
mod admission;
#[cfg(feature = "cluster")]
pub mod audit;
#[cfg(feature = "cluster")]
pub mod check;
#[cfg(feature = "operator")]
pub mod check_install;
pub mod completions;
pub mod crd;
#[cfg(feature = "cluster")]
pub mod drill;
mod evaluate;
pub mod explain;
pub mod plan;
#[cfg(feature = "cluster")]
pub mod restore;
#[cfg(feature = "operator")]
pub mod run;
#[cfg(all(feature = "sampling", target_os = "linux"))]
pub mod sample;
#[cfg(feature = "cluster")]
pub mod status;

/// Runs a future on a runtime with one thread per CPU.
#[cfg(any(feature = "operator", feature = "cluster", feature = "sampling"))]
fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    // Does not wait for threads that a DNS lookup may still block.
    runtime.shutdown_background();
    Ok(output)
}

/// Runs a command on a cluster. Where the cluster gives no answer, prints why, in one line, and returns
/// [`Exit::Unusable`](crate::exit::Exit).
#[cfg(feature = "cluster")]
fn on_cluster<Run>(arguments: &crate::cluster::connection::ClusterArguments, run: Run) -> std::process::ExitCode
where
    Run: AsyncFnOnce(crate::cluster::Cluster) -> Result<crate::exit::Exit, crate::cluster::Error>,
{
    use crate::cluster::{Cluster, Error};
    use crate::exit::Exit;
    use crate::message::message;
    use crate::render::sanitize::sanitize;
    use winddown_core::error_chain::ErrorChain;

    let done = block_on(async { run(Cluster::connect(arguments).await?).await });
    match done {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(Error::Output(error))) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            message!("winddown: the output was closed before everything was written");
            Exit::Unusable.into()
        }
        Ok(Err(error)) => {
            message!("winddown: {}", sanitize(&ErrorChain(&error).to_string()));
            Exit::Unusable.into()
        }
        Err(error) => {
            message!("winddown: cannot start the runtime: {error}");
            Exit::Unusable.into()
        }
    }
}
