/// A mail makes some hundred small allocations, on one thread, and another thread ends them: the system's allocator took a tenth of its processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    posthorn::cli::main()
}
