//! The `hansard` program: see [`hansard::cli`].

fn main() -> std::process::ExitCode {
    hansard::cli::main()
}
