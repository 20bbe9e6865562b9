//! Sessions and their workers.

use super::Calls;
use crate::grpc::convert::{self, Malformed, session_name};
use crate::grpc::page;
use crate::problem::Problem;
use capstan_ids::SessionName;
use capstan_proto::v1;
use capstan_work::{Command, Rejection, SessionView};

impl Calls {
    pub(in crate::grpc) async fn create_session(
        &self,
        request: v1::CreateSessionRequest,
    ) -> Result<v1::CreateSessionResponse, Problem> {
        let command = Command::OpenSession {
            session: session_name(&request.session)?,
            policy: convert::policy(request.policy.unwrap_or_default()).map_err(|e| e.under("policy"))?,
            notes: convert::notes(request.notes)?,
            items: convert::new_items(request.items, "items")?,
            gates: convert::gates(&request.gates)?,
        };
        self.done(command).await?;
        Ok(v1::CreateSessionResponse {})
    }

    pub(in crate::grpc) async fn get_session(
        &self,
        request: v1::GetSessionRequest,
    ) -> Result<v1::GetSessionResponse, Problem> {
        let session = convert::session(self.session(&request.session).await?);
        Ok(v1::GetSessionResponse { session: Some(session) })
    }

    pub(in crate::grpc) async fn session_status(
        &self,
        request: v1::SessionStatusRequest,
    ) -> Result<v1::SessionStatusResponse, Problem> {
        let status = convert::status(&self.session(&request.session).await?);
        Ok(v1::SessionStatusResponse { status: Some(status) })
    }

    async fn session(&self, name: &str) -> Result<SessionView, Problem> {
        let name = session_name(name)?;
        let wanted = name.clone();
        let found = self.handle.read(move |state| state.work.session(&wanted)).await?;
        found.ok_or_else(|| Rejection::SessionUnknown(name).into())
    }

    pub(in crate::grpc) async fn list_sessions(
        &self,
        request: v1::ListSessionsRequest,
    ) -> Result<v1::ListSessionsResponse, Problem> {
        let size = page::size(request.page_size)?;
        let after = match request.cursor.as_str() {
            "" => None,
            name => Some(SessionName::new(name).map_err(|_| page::bad_cursor(name))?),
        };
        let look = move |state: &capstan_coordinator::State| -> Vec<SessionView> {
            state.work.sessions_after(after.as_ref()).take(size + 1).collect()
        };
        let mut views = self.handle.read(look).await?;
        let more = views.len() > size;
        views.truncate(size);
        let next_cursor = views.last().filter(|_| more).map_or_else(String::new, |last| last.name.to_string());
        Ok(v1::ListSessionsResponse { sessions: views.into_iter().map(convert::session).collect(), next_cursor })
    }

    pub(in crate::grpc) async fn update_session(
        &self,
        request: v1::UpdateSessionRequest,
    ) -> Result<v1::UpdateSessionResponse, Problem> {
        let command = Command::UpdateSession {
            session: session_name(&request.session)?,
            change: convert::policy_change(request.policy.unwrap_or_default()).map_err(|e| e.under("policy"))?,
            notes: convert::notes(request.notes)?,
        };
        self.done(command).await?;
        Ok(v1::UpdateSessionResponse {})
    }

    pub(in crate::grpc) async fn delete_session(
        &self,
        request: v1::DeleteSessionRequest,
    ) -> Result<v1::DeleteSessionResponse, Problem> {
        self.done(Command::DeleteSession { session: session_name(&request.session)? }).await?;
        Ok(v1::DeleteSessionResponse {})
    }

    pub(in crate::grpc) async fn pause(&self, request: v1::PauseRequest) -> Result<v1::PauseResponse, Problem> {
        let (session, reason) = (session_name(&request.session)?, request.reason.into());
        self.done(Command::Pause { session, immediate: request.immediate, reason }).await?;
        Ok(v1::PauseResponse {})
    }

    pub(in crate::grpc) async fn resume(&self, request: v1::ResumeRequest) -> Result<v1::ResumeResponse, Problem> {
        self.done(Command::Resume { session: session_name(&request.session)? }).await?;
        Ok(v1::ResumeResponse {})
    }

    pub(in crate::grpc) async fn cancel_session(
        &self,
        request: v1::CancelSessionRequest,
    ) -> Result<v1::CancelSessionResponse, Problem> {
        let (session, reason) = (session_name(&request.session)?, request.reason.into());
        self.done(Command::Cancel { session, reason }).await?;
        Ok(v1::CancelSessionResponse {})
    }

    pub(in crate::grpc) async fn close_session(
        &self,
        request: v1::CloseSessionRequest,
    ) -> Result<v1::CloseSessionResponse, Problem> {
        self.done(Command::Close { session: session_name(&request.session)? }).await?;
        Ok(v1::CloseSessionResponse {})
    }

    pub(in crate::grpc) async fn set_limit(
        &self,
        request: v1::SetLimitRequest,
    ) -> Result<v1::SetLimitResponse, Problem> {
        let session = named(&request.session)?;
        let (name, value) = convert::limit(&request.name, request.value)?;
        self.done(Command::SetLimit { session, name, value }).await?;
        Ok(v1::SetLimitResponse {})
    }

    pub(in crate::grpc) async fn shared_limits(
        &self,
        _: v1::SharedLimitsRequest,
    ) -> Result<v1::SharedLimitsResponse, Problem> {
        let limits = self.handle.read(|state| state.work.limits()).await?;
        Ok(v1::SharedLimitsResponse { limits: limits.iter().map(convert::limit_status).collect() })
    }

    pub(in crate::grpc) async fn hold_gate(
        &self,
        request: v1::HoldGateRequest,
    ) -> Result<v1::HoldGateResponse, Problem> {
        let session = session_name(&request.session)?;
        let (group, gate) = convert::gate(&request.group, &request.gate)?;
        self.done(Command::HoldGate { session, group, gate }).await?;
        Ok(v1::HoldGateResponse {})
    }

    pub(in crate::grpc) async fn open_gate(
        &self,
        request: v1::OpenGateRequest,
    ) -> Result<v1::OpenGateResponse, Problem> {
        let session = session_name(&request.session)?;
        let (group, gate) = convert::gate(&request.group, &request.gate)?;
        self.done(Command::OpenGate { session, group, gate }).await?;
        Ok(v1::OpenGateResponse {})
    }

    pub(in crate::grpc) async fn workers(&self, request: v1::WorkersRequest) -> Result<v1::WorkersResponse, Problem> {
        let session = named(&request.session)?;
        let wanted = session.clone();
        let look = move |state: &capstan_coordinator::State| {
            let known = wanted.as_ref().is_none_or(|name| state.work.has_session(name));
            known.then(|| state.work.workers(wanted.as_ref()))
        };
        match (self.handle.read(look).await?, session) {
            (Some(views), _) => Ok(v1::WorkersResponse { workers: views.iter().map(convert::worker).collect() }),
            (None, Some(session)) => Err(Rejection::SessionUnknown(session).into()),
            (None, None) => unreachable!("all sessions together are always known"),
        }
    }
}

/// A session's name, where one was given.
fn named(text: &str) -> Result<Option<SessionName>, Malformed> {
    match text {
        "" => Ok(None),
        text => session_name(text).map(Some),
    }
}
