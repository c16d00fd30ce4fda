//! Several instances whose metrics can be read.

use crate::application::{Application, Setup};
use crate::place::free_port;

/// Application whose instances serve metrics, each at an address of its own.
pub struct MeteredApplication {
    pub app: Application,
    metrics: Vec<String>,
}

impl MeteredApplication {
    /// Starts this number of instances with the same settings, which must select PostgreSQL.
    pub async fn start(setup: Setup, instances: usize) -> Self {
        Self::start_different(setup, &vec![&[][..]; instances - 1]).await
    }

    /// Starts an instance, and for each of these settings another one that differs in them.
    pub async fn start_different(setup: Setup, others: &[&[(&str, &str)]]) -> Self {
        let address = || format!("127.0.0.1:{}", free_port());
        let mut addresses = vec![address()];
        let mut app = setup.set("metrics.listen", &addresses[0]).start().await;
        for different in others {
            let own = address();
            app.add_instance_with(&[*different, &[("metrics.listen", own.as_str())]].concat()).await;
            addresses.push(own);
        }
        Self { app, metrics: addresses.iter().map(|address| format!("http://{address}/metrics")).collect() }
    }

    /// Returns the value of a series of an instance.
    pub async fn metric(&self, instance: usize, series: &str) -> u64 {
        let value = self.find_metric(instance, series).await;
        value.unwrap_or_else(|| panic!("instance {instance} has no {series}"))
    }

    /// Returns the value of a series of an instance; `None` if nothing was counted yet.
    pub async fn find_metric(&self, instance: usize, series: &str) -> Option<u64> {
        let answer = reqwest::get(&self.metrics[instance]).await.expect("metrics are served");
        let text = answer.text().await.expect("text");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().expect("a whole number"))
    }
}
