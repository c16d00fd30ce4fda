//! Several instances whose metrics can be read.

use crate::application::{Application, Setup};
use crate::place::free_port;

/// Application whose instances serve metrics, each at an address of its own.
pub struct MeteredApplication {
    pub app: Application,
    metrics: Vec<String>,
}

impl MeteredApplication {
    /// Starts this number of instances on PostgreSQL.
    pub async fn start(setup: Setup, instances: usize) -> Self {
        let addresses: Vec<String> = (0..instances).map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let (first, others) = addresses.split_first().expect("at least one instance");
        let mut app = setup.set("metrics.listen", first).start().await;
        for address in others {
            app.add_instance_with(&[("metrics.listen", address)]).await;
        }
        Self { app, metrics: addresses.iter().map(|address| format!("http://{address}/metrics")).collect() }
    }

    /// Returns the value of a series of an instance.
    pub async fn metric(&self, instance: usize, series: &str) -> u64 {
        let answer = reqwest::get(&self.metrics[instance]).await.expect("metrics are served");
        let text = answer.text().await.expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a whole number")
    }
}
