//! The host's processes, as an action sees and signals them.

use super::*;

impl Signals for Host {
    type Held = u32;

    fn hold(&self, pid: u32) -> io::Result<u32> {
        let known = self.procs.borrow().contains_key(&pid);
        known.then_some(pid).ok_or(errno(libc::ESRCH))
    }

    fn identify(&self, pid: u32) -> Result<Identity, LookError> {
        let procs = self.procs.borrow();
        let proc = procs.get(&pid).ok_or(LookError::Gone)?;
        if self.hangs.get() {
            return Err(LookError::CannotTell(Cause::Timeout));
        }
        Ok(is(proc.image))
    }

    fn is_stopped(&self, _: u32) -> bool {
        false
    }

    fn is_killed(&self, pid: u32) -> bool {
        self.killed.borrow().contains(&pid)
    }

    fn pace(&self, processes: &[Paced]) -> Vec<(Member, u32)> {
        *self.paced.borrow_mut() = processes.to_vec();
        self.continued.take()
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn send(&self, pid: &u32, signal: Signal) -> io::Result<()> {
        if self.denied == Some(*pid) {
            return Err(errno(libc::EPERM));
        }
        let mut procs = self.procs.borrow_mut();
        let proc = procs.get_mut(pid).ok_or(errno(libc::ESRCH))?;
        proc.signals.push(signal);
        drop(procs);
        if signal == Signal::Kill {
            self.end(*pid);
            if let Some(late) = self.late.take() {
                self.begin(late, "/tmp/x");
                self.cancelled.set(true);
            }
        }
        Ok(())
    }

    fn wait(&self, pid: &u32, _: Duration) -> io::Result<bool> {
        if self.untold == Some(*pid) {
            return Err(errno(libc::ENOMEM));
        }
        Ok(!self.procs.borrow().contains_key(pid))
    }
}

impl Looks for Host {
    fn look(&self, pid: u32, _: Wanted) -> Result<ProcSnapshot, LookError> {
        let procs = self.procs.borrow();
        let proc = procs.get(&pid).ok_or(LookError::Gone)?;
        if self.hidden == Some(pid) {
            return Err(LookError::Denied);
        }
        let program = is_listed(proc.exe).then(|| proc.exe.to_owned());
        let host = Provenance {
            file: HostFile::Own,
            uids: Some(Uids {
                real: proc.uid,
                saved: proc.uid,
            }),
            initial_user_namespace: Some(true),
            host_root: Some(true),
            identity: Some(cgroup::identity::Identity::default()),
        };
        Ok(ProcSnapshot {
            start_time: member(pid).start_time,
            image: Some(proc.image),
            facts: Facts {
                uid: Some(proc.uid),
                cgroup: "/a.scope".to_owned(),
                ..Facts::default()
            },
            exe: Some(proc.exe.to_owned()),
            launcher: proc.exe.starts_with("/usr/"),
            provenance: program.as_ref().map(|_| host),
            program,
            running: self.zombie != Some(pid),
            ..ProcSnapshot::default()
        })
    }

    fn living(&self) -> Vec<Member> {
        self.procs.borrow().keys().map(|pid| member(*pid)).collect()
    }

    fn forks(&self) -> Forks {
        self.forks.clone()
    }
}
