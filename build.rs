//! Lists the files of the web app (`frontend/build`) for `src/embedded.rs`, which makes them part
//! of a release build, and of any build with the environment variable `NATTER_EMBED_WEB_APP`. A
//! debug build reads the folder at run time, so it doesn't depend on its content.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

const WEB_APP: &str = "frontend/build";

fn main() -> Result<(), Box<dyn Error>> {
    let mut cargo = io::stdout().lock();
    writeln!(cargo, "cargo::rustc-check-cfg=cfg(embed_web_app)")?;
    writeln!(cargo, "cargo::rerun-if-changed=build.rs")?;
    writeln!(cargo, "cargo::rerun-if-env-changed=NATTER_EMBED_WEB_APP")?;
    if env::var("PROFILE")? != "release" && env::var_os("NATTER_EMBED_WEB_APP").is_none() {
        return Ok(());
    }
    writeln!(cargo, "cargo::rustc-cfg=embed_web_app")?;
    if links_with_lld()? {
        // Identical functions, most of them of generic types, become one.
        writeln!(cargo, "cargo::rustc-link-arg-bins=-Wl,--icf=all")?;
    }
    // Cargo watches the folder for added files, and each file for removed ones, because a copied
    // folder may have an old modification time.
    writeln!(cargo, "cargo::rerun-if-changed={WEB_APP}")?;
    let mut files = Vec::new();
    if Path::new(WEB_APP).exists() {
        collect(Path::new(WEB_APP), &mut files)?;
    }
    files.sort();
    let mut entries = Vec::new();
    for file in &files {
        writeln!(cargo, "cargo::rerun-if-changed={WEB_APP}/{file}")?;
        // Leaves out the uncompressed form, which is decompressed for the few clients that accept
        // no compression. Pages are kept uncompressed too, because their content security policy is
        // computed from them.
        if !file.ends_with(".html") && files.binary_search(&format!("{file}.gz")).is_ok() {
            continue;
        }
        let path = format!("/{WEB_APP}/{file}");
        entries.push(format!(
            "EmbeddedAsset::new({file:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?})))"
        ));
    }
    let table = format!("static WEB_APP_FILES: [EmbeddedAsset; {}] = [\n{}\n];\n", entries.len(), entries.join(",\n"));
    fs::write(Path::new(&env::var("OUT_DIR")?).join("web_app.rs"), table)?;
    Ok(())
}

/// True if this is a toolchain with its own linker, which it uses by default.
fn links_with_lld() -> Result<bool, Box<dyn Error>> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    if env::var("TARGET")? != TARGET || env::var("HOST")? != TARGET {
        return Ok(false);
    }
    let rustc = env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
    let output = Command::new(rustc).args(["--print", "sysroot"]).output()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    Ok(sysroot.join("lib/rustlib").join(TARGET).join("bin/gcc-ld/ld.lld").exists())
}

/// Adds the paths of all files below `folder`, relative to the folder of the web app.
fn collect(folder: &Path, files: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            let file =
                path.strip_prefix(WEB_APP)?.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
            files.push(file.to_owned());
        }
    }
    Ok(())
}
