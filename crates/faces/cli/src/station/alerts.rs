//! Telling of health while a server leads: the coordinator says what, webhooks carry it.

use capstan_api::AlertFigures;
use capstan_api::wire::alert::AlertShape;
use capstan_coordinator::{AlertWatch, Handle, SystemClock};
use capstan_registry::{Alert, AlertPolicy, Severity};
use capstan_webhook::{Courier, Fate, Letter, Mailbox, Webhook};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Whom to tell of health, and when. Nobody by default.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    webhooks: Vec<Webhook>,
    policy: AlertPolicy,
}

impl Alerts {
    /// Everybody at these webhooks.
    pub fn to(webhooks: Vec<Webhook>, policy: AlertPolicy) -> Self {
        Self { webhooks, policy }
    }

    /// Tells until `over`, which is when this server leads no longer. What has not arrived by then is left to the next
    /// leader.
    pub fn begin(
        &self,
        handle: &Handle,
        server: String,
        figures: &AlertFigures,
        over: &CancellationToken,
        tasks: &TaskTracker,
    ) {
        if self.webhooks.is_empty() {
            return;
        }
        let mut mailboxes = Vec::new();
        for webhook in &self.webhooks {
            tracing::info!(to = %webhook.address(), "health is told to a webhook");
            let (mailbox, courier) = Courier::new(webhook.clone(), counting(figures.clone()));
            tasks.spawn(courier.run(over.clone()));
            mailboxes.push(mailbox);
        }
        let watch = handle.alerts(self.policy, Arc::new(SystemClock));
        let teller = Teller { watch, mailboxes, figures: figures.clone(), server };
        let over = over.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = teller.run() => {}
                () = over.cancelled() => {}
            }
        });
    }
}

/// Counts what becomes of each message.
fn counting(figures: AlertFigures) -> impl Fn(&Letter, Fate) + Send + Sync {
    move |letter, fate| match fate {
        Fate::Sent => figures.sent(Severity::ALL[letter.mark]),
        Fate::Failed => figures.failed(),
        Fate::Superseded => figures.superseded(),
        Fate::Dropped => figures.left(),
    }
}

/// Puts what there is to tell into every mailbox.
struct Teller {
    watch: AlertWatch,
    mailboxes: Vec<Mailbox>,
    figures: AlertFigures,
    server: String,
}

impl Teller {
    async fn run(mut self) {
        loop {
            match self.watch.next().await {
                Ok(alert) => self.tell(alert),
                Err(failure) => {
                    tracing::debug!(%failure, "health is told no longer");
                    return;
                }
            }
        }
    }

    fn tell(&self, alert: Alert) {
        let (severity, id) = (alert.severity, alert.id.clone());
        let (health, failed, pipelines) = (alert.course.health, alert.system.failed, alert.system.pipelines);
        tracing::info!(%severity, id, %health, failed, pipelines, "telling of health");
        let body = bytes::Bytes::from(AlertShape::of(alert, &self.server).to_json());
        for mailbox in &self.mailboxes {
            self.figures.begin();
            mailbox.put(Letter { id: id.clone(), body: body.clone(), mark: severity as usize });
        }
    }
}
