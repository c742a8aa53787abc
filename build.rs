//! Rebuilds the crate when a migration, template or built-in file changes: they are compiled in.
fn main() {
    for folder in ["migrations", "templates", "config"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
