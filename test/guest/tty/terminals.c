/* Pseudo-terminals: the line discipline, signals from keys, sessions, window size, packet of ioctls. */
#include "guest.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master, slave;
static volatile int signals[65];
static void note(int signo) { signals[signo]++; }

static void show_bytes(const char *what, const char *b, ssize_t n) {
  char line[400] = "";
  for (ssize_t i = 0; i < n && i < 80; i++) {
    unsigned char c = (unsigned char)b[i];
    snprintf(line + strlen(line), 8, c >= 32 && c < 127 ? "%c" : "<%02x>", c);
  }
  out("%s: %zd [%s]", what, n, line);
}

static void show_read(const char *what, int fd) {
  char b[5000];
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (poll(&p, 1, 50) == 0) {
    out("%s: nothing", what);
    return;
  }
  ssize_t n = read(fd, b, sizeof b);
  if (n < 0) out("%s: %s", what, errno_name(errno));
  else show_bytes(what, b, n);
}

/* The host's terminals hand input over in the background. */
static void type(const char *text) {
  write(master, text, strlen(text));
  sleep_ms(15);
}

static void change(tcflag_t iflag_off, tcflag_t oflag_off, tcflag_t lflag_off, int min, int time) {
  struct termios t;
  tcgetattr(slave, &t);
  t.c_iflag &= ~iflag_off;
  t.c_oflag &= ~oflag_off;
  t.c_lflag &= ~lflag_off;
  t.c_cc[VMIN] = (cc_t)min;
  t.c_cc[VTIME] = (cc_t)time;
  tcsetattr(slave, TCSANOW, &t);
}

static void session(void) {
  setsid();
  R(ioctl(slave, TIOCGSID, &(pid_t){0}));
  R(tcgetpgrp(slave));
  R(ioctl(slave, TIOCSCTTY, 0));
  T(tcgetpgrp(slave) == getpid());
  T(tcgetsid(slave) == getpid());
  OK(open("/dev/tty", O_RDWR));
  signal(SIGINT, note);
  signal(SIGQUIT, note);
  signal(SIGTSTP, note);
  signal(SIGWINCH, note);
  signal(SIGTTOU, SIG_IGN);
  type("\x03");
  type("\x1c");
  type("\x1a");
  sleep_ms(30);
  out("INT %d QUIT %d TSTP %d", signals[SIGINT], signals[SIGQUIT], signals[SIGTSTP]);
  struct winsize size = {33, 99, 0, 0};
  R(ioctl(master, TIOCSWINSZ, &size));
  memset(&size, 0, sizeof size);
  R(ioctl(slave, TIOCGWINSZ, &size));
  sleep_ms(20);
  out("size %d %d, WINCH %d", size.ws_row, size.ws_col, signals[SIGWINCH]);
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    signal(SIGTTOU, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    char c;
    read(slave, &c, 1);
    _exit(1);
  }
  setpgid(pid, pid);
  int status;
  waitpid(pid, &status, WUNTRACED);
  report_status("background read", status);
  R(tcsetpgrp(slave, pid));
  T(tcgetpgrp(slave) == pid);
  signals[SIGINT] = 0;
  kill(pid, SIGCONT);
  sleep_ms(20);
  type("\x03");
  reap("foreground interrupted", pid);
  out("and not the shell: %d", signals[SIGINT]);
  R(tcsetpgrp(slave, getpid()));
  R(tcsetpgrp(slave, 999999));
  pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    signal(SIGTTOU, SIG_DFL);
    struct termios t;
    tcgetattr(slave, &t);
    tcsetattr(slave, TCSANOW, &t);
    _exit(0);
  }
  waitpid(pid, &status, WUNTRACED);
  report_status("background tcsetattr", status);
  kill(pid, SIGKILL);
  reap("killed", pid);
  /* When the leader goes, the foreground group is hung up. */
  pid = fork();
  if (pid == 0) {
    signal(SIGHUP, SIG_DFL);
    for (;;) pause();
  }
  _exit(0);
}

int main(void) {
  R(openpty(&master, &slave, NULL, NULL, NULL));
  T(isatty(slave) && isatty(master));
  R(isatty(open("/dev/null", O_RDWR)));
  T(strncmp(ttyname(slave), "/dev/pts/", 9) == 0);
  struct termios t;
  R(tcgetattr(slave, &t));
  out("iflag %o oflag %o cflag %o lflag %o", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag);
  out("intr %d quit %d erase %d kill %d eof %d susp %d", t.c_cc[VINTR], t.c_cc[VQUIT], t.c_cc[VERASE], t.c_cc[VKILL], t.c_cc[VEOF], t.c_cc[VSUSP]);
  struct winsize size;
  R(ioctl(slave, TIOCGWINSZ, &size));
  out("size %d %d", size.ws_row, size.ws_col);

  write(slave, "out\n", 4);
  show_read("output gets a carriage return", master);
  type("abc");
  show_read("echo", master);
  show_read("an unfinished line", slave);
  type("d\x7f\x7fX\n");
  show_read("echo of erasing", master);
  show_read("the line", slave);
  type("one two\x17three\n");
  show_read("echo of word erase", master);
  show_read("the line", slave);
  type("lost\x15kept\r");
  show_read("echo of line kill", master);
  show_read("the line", slave);
  type("\x01\x1b[A\n");
  show_read("echo of control characters", master);
  show_read("the line", slave);
  type("two\nlines\n");
  show_read("echo", master);
  show_read("first", slave);
  show_read("second", slave);
  type("part\x04");
  show_read("echo of end of file", master);
  show_read("pushed", slave);
  type("\x04");
  show_read("end of file", slave);
  type("a\x16\x03z\n");
  show_read("echo of a literal", master);
  show_read("the line", slave);
  int n;
  type("queued\n");
  R(ioctl(slave, FIONREAD, &n));
  out("FIONREAD %d", n);
  R(tcflush(slave, TCIFLUSH));
  show_read("flushed", slave);
  tcflush(slave, TCIOFLUSH);
  show_read("echo", master);
  type("\x13");
  /* The host's line discipline works in a thread of its own, which a busy machine delays. */
  sleep_ms(100);
  fcntl(slave, F_SETFL, O_NONBLOCK);
  R(write(slave, "held", 4));
  show_read("stopped output", master);
  type("\x11");
  sleep_ms(10);
  tcflush(slave, TCIOFLUSH);
  tcflush(master, TCIOFLUSH);

  change(ICRNL, OPOST, ICANON | ECHO | ISIG, 1, 0);
  show_read("raw: empty", slave);
  type("a\r\x03\x04");
  show_read("raw", slave);
  show_read("no echo", master);
  write(slave, "raw\n", 4);
  show_read("no carriage return", master);
  fcntl(slave, F_SETFL, 0);
  change(0, 0, 0, 0, 1);
  char c;
  R(read(slave, &c, 1));
  change(0, 0, 0, 5, 0);
  type("12345");
  show_read("VMIN", slave);
  change(0, 0, 0, 1, 0);
  char big[5000];
  memset(big, 'b', sizeof big);
  fcntl(master, F_SETFL, O_NONBLOCK);
  T(write(master, big, sizeof big) >= 4095);
  fcntl(master, F_SETFL, 0);
  tcflush(slave, TCIFLUSH);
  R(ioctl(slave, TIOCNOTTY));
  R(ioctl(slave, 0x54ff));
  R(ioctl(1, TCGETS, &t));
  R(ioctl(master, TIOCGPTN, &n));
  R(tcgetpgrp(slave));
  unsigned number;
  T(ioctl(master, TIOCGPTN, &number) == 0);
  char name[40];
  snprintf(name, sizeof name, "/dev/pts/%u", number);
  struct stat st;
  R(stat(name, &st));
  out("mode %o type %o", st.st_mode & 0777, st.st_mode & S_IFMT);
  close(slave);
  slave = open(name, O_RDWR | O_NOCTTY);
  tcgetattr(slave, &t);
  t.c_lflag |= ICANON | ISIG;
  t.c_lflag &= ~(tcflag_t)ECHO;
  tcsetattr(slave, TCSANOW, &t);
  R(open("/dev/tty", O_RDWR));

  pid_t pid = fork();
  if (pid == 0) session();
  reap("session", pid);
  close(slave);
  show_read("no slave", master);
  struct pollfd p = {.fd = master, .events = POLLIN | POLLOUT};
  poll(&p, 1, 0);
  out("hung up %d", (p.revents & POLLHUP) != 0);
  slave = open(name, O_RDWR | O_NOCTTY);
  OK(slave);
  close(master);
  show_read("no master", slave);
  R(write(slave, "x", 1));
  R(tcgetattr(slave, &t));
  R(open(name, O_RDWR | O_NOCTTY));
  return 0;
}
