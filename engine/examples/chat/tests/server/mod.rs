//! The example's own program, on a port that was free.

use std::process::{Command, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as Process};

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: String,
    process: Child,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let mut process = Process::new(env!("CARGO_BIN_EXE_holocast-chat"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let address = lines.next_line().await.expect("readable").expect("it says where it listens");
        Self { address, process }
    }

    /// Asks it to end, as a service manager does; whether it ended well.
    pub(crate) async fn terminate(mut self) -> bool {
        let id = self.process.id().expect("it runs").to_string();
        assert!(Command::new("kill").arg(id).status().expect("a kill").success());
        self.process.wait().await.expect("it ends").success()
    }
}
