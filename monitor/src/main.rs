//! x
use monitor::{probe::*,collector::*,event,isa::*};
fn main(){
  tracing_subscriber::fmt().init();
  let pid: u32=std::env::args().nth(1).unwrap().parse().unwrap();
  let secs: u64=std::env::args().nth(2).unwrap().parse().unwrap();
  let name=std::env::args().nth(3).unwrap_or_default();
  let mut p = match Probes::attach(Settings{target:Some(pid),sample_hz:99}) { Ok(p)=>p, Err(e)=>{ eprintln!("{e}"); std::process::exit(1)} };
  let mut c=Collector::new(Arch::X86_64);
  for i in 0..secs*4 {
    std::thread::sleep(std::time::Duration::from_millis(250));
    p.drain(100000, |r| { c.take(&event::decode(r).unwrap()); });
    if i%4==3 { let now=(i+1)*250_000_000; c.tick(now, |v| p.tasks(|_,s| v(s))); }
  }
  for s in c.subjects() { let f=s.facts().cloned(); let u=s.profile.summary(0);
   print!("{name:22} n={} i={} k={:.2} und={:.2} conc={:.2} hot={:.2} thr={} cores={:.2} vol={:.1} io={:.0}MB places={:?} |", u.samples,u.mix.total(),u.kernel_share,u.undecodable_share,u.concentration,u.hottest.map_or(0.,|h|h.1),u.threads,u.cores,u.voluntary_per_cpu_second,u.io_per_cpu_second.unwrap_or(-1.)/1e6,u.places);
   for (cl,sh) in u.mix.shares() { if sh>0.0005 {print!(" {}={:.1}", cl.name(), sh*100.)} } println!(); eprintln!("{f:?}"); }
}
