"""What runs in containers of builds with Rust, before anything of the package does."""
