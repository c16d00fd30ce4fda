//! PgBouncer in front of the PostgreSQL of the tests.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::place::{free_port, program, wait_until};

/// Process of PgBouncer. It is killed on drop.
pub struct PgBouncer {
    url: String,
    _child: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts Debian's PgBouncer for a database, with this value of `pool_mode`.
    pub async fn start(database_url: &str, pool_mode: &str) -> Self {
        let settings = format!("pool_mode = {pool_mode}\ndefault_pool_size = 60\n");
        Self::start_with(&program("pgbouncer", &["/usr/sbin"]), database_url, &settings).await
    }

    /// Starts a PgBouncer that knows prepared statements, in transaction mode, with fewer connections to the database than
    /// its clients have.
    pub async fn start_with_prepared_statements(database_url: &str) -> Self {
        let program = std::env::var("NATTER_TEST_PGBOUNCER")
            .expect("NATTER_TEST_PGBOUNCER names a PgBouncer of 1.21 or newer; scripts/test builds one");
        let settings = "pool_mode = transaction\nmax_prepared_statements = 200\ndefault_pool_size = 10\n";
        Self::start_with(Path::new(&program), database_url, settings).await
    }

    async fn start_with(program: &Path, database_url: &str, settings: &str) -> Self {
        let target = reqwest::Url::parse(database_url).expect("a URL");
        let name = target.path().trim_start_matches('/').to_owned();
        let folder = tempfile::Builder::new().prefix("natter-pgbouncer").tempdir().expect("a temporary folder");
        let (port, file) = (free_port(), folder.path().join("pgbouncer.ini"));
        let (host, target_port) = (target.host_str().expect("a host"), target.port().unwrap_or(5432));
        let user = target.username();
        let settings = format!(
            "[databases]\n{name} = host={host} port={target_port} dbname={name}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             max_client_conn = 500\n{settings}"
        );
        // With `auth_type = any`, PgBouncer uses the user of the database's entry.
        let settings = settings.replacen(&format!("dbname={name}"), &format!("dbname={name} user={user}"), 1);
        std::fs::write(&file, settings).expect("a writable folder");
        // The other user can't read the folder of the program.
        let copy = folder.path().join("pgbouncer");
        std::fs::copy(program, &copy).expect("the program is readable");
        let mut command = Command::new(copy);
        // It refuses to run as root.
        if nix::unistd::geteuid().is_root() {
            let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("the user nobody");
            std::os::unix::fs::chown(folder.path(), Some(nobody.uid.as_raw()), None).expect("owner of the folder");
            std::os::unix::fs::chown(&file, Some(nobody.uid.as_raw()), None).expect("owner of the file");
            command.uid(nobody.uid.as_raw());
        }
        let child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("pgbouncer starts");
        wait_until("PgBouncer listens", || async move { TcpStream::connect(("127.0.0.1", port)).await.is_ok() }).await;
        Self { url: format!("postgres://{user}@127.0.0.1:{port}/{name}"), _child: child, _folder: folder }
    }

    /// URL of the database through PgBouncer.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
