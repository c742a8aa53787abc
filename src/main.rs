fn main() -> std::process::ExitCode {
    posthorn::cli::main()
}
