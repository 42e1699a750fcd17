/* alarm, interval timers, POSIX timers, timerfd, clocks. */
#include "guest.h"
#include <poll.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static volatile int alarms, values;
static void on_alarm(int signo, siginfo_t *si, void *context) {
  (void)signo;
  (void)context;
  alarms++;
  values = si->si_code == SI_TIMER ? si->si_value.sival_int : -si->si_code;
}

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void) {
  struct sigaction sa;
  memset(&sa, 0, sizeof sa);
  sa.sa_sigaction = on_alarm;
  sa.sa_flags = SA_SIGINFO;
  sigaction(SIGALRM, &sa, NULL);
  sigaction(SIGRTMIN, &sa, NULL);
  sigaction(SIGVTALRM, &sa, NULL);
  sigaction(SIGPROF, &sa, NULL);
  R(alarm(10));
  R(alarm(0));
  struct itimerval timer = {{0, 20000}, {0, 20000}}, old;
  R(setitimer(ITIMER_REAL, &timer, NULL));
  while (alarms < 4) pause();
  memset(&timer, 0, sizeof timer);
  R(setitimer(ITIMER_REAL, &timer, &old));
  out("interval was %ld", (long)old.it_interval.tv_usec);
  R(setitimer(9, &timer, NULL));
  timer.it_value.tv_usec = 1000000;
  R(setitimer(ITIMER_REAL, &timer, NULL));
  timer.it_value.tv_usec = 30000;
  alarms = 0;
  R(setitimer(ITIMER_VIRTUAL, &timer, NULL));
  double start = now(CLOCK_MONOTONIC);
  while (!alarms && now(CLOCK_MONOTONIC) - start < 5) continue;
  out("virtual timer fired %d", alarms);

  timer_t id;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 99};
  R(timer_create(CLOCK_MONOTONIC, &event, &id));
  struct itimerspec spec = {{0, 0}, {0, 20000000}};
  alarms = 0;
  R(timer_settime(id, 0, &spec, NULL));
  while (!alarms) pause();
  out("posix timer value %d", values);
  R(timer_gettime(id, &spec));
  out("disarmed %d", spec.it_value.tv_sec == 0 && spec.it_value.tv_nsec == 0);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  spec.it_value.tv_nsec = spec.it_interval.tv_nsec = 5000000;
  timer_settime(id, 0, &spec, NULL);
  sleep_ms(60);
  siginfo_t info;
  T(sigwaitinfo(&mask, &info) == SIGRTMIN);
  T(info.si_overrun >= 5);
  T(timer_getoverrun(id) >= 5);
  R(timer_delete(id));
  R(timer_delete(id));
  R(timer_create(77, &event, &id));

  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  uint64_t ticks = 0;
  R(read(fd, &ticks, 8));
  spec.it_value.tv_nsec = 10000000;
  spec.it_interval.tv_nsec = 10000000;
  R(timerfd_settime(fd, 0, &spec, NULL));
  struct pollfd pfd = {.fd = fd, .events = POLLIN};
  R(poll(&pfd, 1, 1000));
  sleep_ms(50);
  R(read(fd, &ticks, 4));
  T(read(fd, &ticks, 8) == 8 && ticks >= 4);
  R(write(fd, &ticks, 8));
  memset(&spec, 0, sizeof spec);
  R(timerfd_settime(fd, 0, &spec, NULL));
  R(poll(&pfd, 1, 30));
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  spec.it_value = t;
  int absolute = timerfd_create(CLOCK_REALTIME, 0);
  R(timerfd_settime(absolute, TFD_TIMER_ABSTIME, &spec, NULL));
  R(read(absolute, &ticks, 8));
  R(timerfd_create(55, 0));
  R(timerfd_settime(1, 0, &spec, NULL));

  double before = now(CLOCK_MONOTONIC);
  sleep_ms(50);
  double slept = now(CLOCK_MONOTONIC) - before;
  T(slept >= 0.05 && slept < 1);
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec -= 1;
  R(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
  t.tv_nsec = -1;
  R(nanosleep(&t, NULL));
  R(clock_nanosleep(99, 0, &t, NULL));
  R(clock_gettime(99, &t));
  T(clock_getres(CLOCK_MONOTONIC, &t) == 0 && t.tv_nsec == 1);
  T(now(CLOCK_BOOTTIME) > 0);
  T(now(CLOCK_PROCESS_CPUTIME_ID) > 0);
  T(now(CLOCK_THREAD_CPUTIME_ID) > 0);
  T(now(CLOCK_REALTIME_COARSE) > 1.6e9);
  T(time(NULL) > 1600000000);
  double last = 0;
  int backwards = 0;
  for (int i = 0; i < 100000; i++) {
    double value = now(CLOCK_MONOTONIC);
    if (value < last) backwards++;
    last = value;
  }
  out("backwards %d", backwards);
  struct timespec real, syscall_real;
  clock_gettime(CLOCK_REALTIME, &real);
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &syscall_real);
  T(llabs((long long)(syscall_real.tv_sec - real.tv_sec)) <= 1);
  return 0;
}
