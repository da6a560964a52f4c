//! The `waymark` command.

use std::process::ExitCode;
use std::time::Duration;

/// An answer is made of thousands of small values; jemalloc makes them faster than the system does, and
/// in less memory than others that are as fast.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the process cannot start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(waymark::cli::run(std::env::args_os().collect()));
    // What may still be under way, such as fetching a key set, is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}
