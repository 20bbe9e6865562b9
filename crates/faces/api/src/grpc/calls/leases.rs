//! Leases: asking for work, keeping it, ending it.

use super::Calls;
use crate::grpc::convert;
use crate::grpc::status::told;
use crate::problem::Problem;
use capstan_coordinator::COMMANDS_MAX;
use capstan_proto::v1::{self, renew_outcome};
use capstan_work::{Answer, Command};

impl Calls {
    pub(in crate::grpc) async fn acquire(&self, request: v1::AcquireRequest) -> Result<v1::AcquireResponse, Problem> {
        let (acquire, wait) = convert::acquire(request)?;
        let acquired = self.unless_closing(self.handle.acquire(acquire, wait)).await?;
        Ok(convert::acquired(acquired.answer, acquired.waited))
    }

    pub(in crate::grpc) async fn renew(&self, request: v1::RenewRequest) -> Result<v1::RenewResponse, Problem> {
        Ok(convert::renewed(self.handle.submit(convert::renew(request)?).await?))
    }

    /// A malformed renewal is refused by itself, as one that is rejected.
    pub(in crate::grpc) async fn renew_many(
        &self,
        request: v1::RenewManyRequest,
    ) -> Result<v1::RenewManyResponse, Problem> {
        if request.renewals.len() > COMMANDS_MAX {
            let found = request.renewals.len();
            return Err(convert::Malformed::new("renewals", format_args!("at most {COMMANDS_MAX}"), found).into());
        }
        let mut commands = Vec::with_capacity(request.renewals.len());
        let mut outcomes: Vec<Option<Problem>> = Vec::with_capacity(request.renewals.len());
        for renewal in request.renewals {
            match convert::renew(renewal) {
                Ok(command) => {
                    commands.push(command);
                    outcomes.push(None);
                }
                Err(malformed) => outcomes.push(Some(malformed.into())),
            }
        }
        let mut decided = self.handle.submit_many(commands).await?.into_iter();
        let outcome = |refused: Option<Problem>| match refused {
            Some(problem) => outcome(Err(problem)),
            None => outcome(decided.next().expect("one outcome for each command").map_err(Problem::from)),
        };
        Ok(v1::RenewManyResponse { outcomes: outcomes.into_iter().map(outcome).collect() })
    }

    pub(in crate::grpc) async fn complete(
        &self,
        request: v1::CompleteRequest,
    ) -> Result<v1::CompleteResponse, Problem> {
        Ok(convert::completed(self.handle.submit(Command::Complete(convert::complete(request)?)).await?))
    }

    pub(in crate::grpc) async fn complete_and_acquire(
        &self,
        request: v1::CompleteAndAcquireRequest,
    ) -> Result<v1::CompleteAndAcquireResponse, Problem> {
        Ok(convert::completed_and_acquired(self.handle.submit(convert::complete_and_acquire(request)?).await?))
    }

    pub(in crate::grpc) async fn fail(&self, request: v1::FailRequest) -> Result<v1::FailResponse, Problem> {
        Ok(convert::failed(self.handle.submit(convert::fail(request)?).await?))
    }

    pub(in crate::grpc) async fn release(&self, request: v1::ReleaseRequest) -> Result<v1::ReleaseResponse, Problem> {
        Ok(convert::released(self.handle.submit(convert::release(request)?).await?))
    }
}

fn outcome(answer: Result<Answer, Problem>) -> v1::RenewOutcome {
    let outcome = match answer {
        Ok(answer) => renew_outcome::Outcome::Renewed(convert::renewed(answer)),
        Err(problem) => renew_outcome::Outcome::Problem(told(problem)),
    };
    v1::RenewOutcome { outcome: Some(outcome) }
}
