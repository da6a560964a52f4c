//! Takes the built playground into the binary.

fn main() {
    memory_serve::load_directory("../../playground/dist");
}
