"""Pseudo terminals in all their modes: run natively and in the sandbox, the output must be the same."""
import errno, fcntl, os, select, signal, struct, sys, termios, time
def rd(fd,n=4096,t=0.2):
    r,_,_=select.select([fd],[],[],t)
    if not r: return None
    try: return os.read(fd,n)
    except OSError as e: return errno.errorcode[e.errno]
def pollev(fd):
    p=select.poll(); p.register(fd,0xffff & ~0x0080); r=p.poll(0); return hex(r[0][1]) if r else '0'
def setl(fd,l=None,i=None,o=None,cc={}):
    a=termios.tcgetattr(fd)
    if i is not None:a[0]=i
    if o is not None:a[1]=o
    if l is not None:a[3]=l
    for k,v in cc.items(): a[6][k]=bytes([v])
    termios.tcsetattr(fd,termios.TCSANOW,a)
m,s=os.openpty()
print('attr',termios.tcgetattr(s)[:6],termios.tcgetattr(s)[6][:17])
print('poll',pollev(m),pollev(s))
D=termios.tcgetattr(s)
cases=[b'hello\n',b'ab\x7f\x7f\x7fc\n',b'one two\x17x\n',b'abc\x15d\n',b'a\tb\x7f\x7fz\n',b'\x01\x02\x7f\n',b'a\x16\x03b\n',b'ab\x12c\n',b'x\x04',b'\x04',b'a\rb\n',b'\x1b[A\n',b'\xc3\xa9\x7f\n',b'\x11\x11q\n', b'tab\t\tq\x7f\x7f\x7f\n']
LF=[('default',None),('noecho',D[3]&~termios.ECHO),('noechoctl',D[3]&~termios.ECHOCTL),('noechoe',D[3]&~termios.ECHOE),('noechok',D[3]&~termios.ECHOK),('noechoke',D[3]&~termios.ECHOKE),('echoprt',D[3]|termios.ECHOPRT),('noiexten',D[3]&~termios.IEXTEN),('noisig',D[3]&~termios.ISIG),('raw',0),('cbreak',D[3]&~(termios.ICANON|termios.ECHO)),('echonl',(D[3]&~termios.ECHO)|termios.ECHONL)]
IF=[('',D[0]),('igncr',D[0]|termios.IGNCR),('inlcr',termios.INLCR),('iutf8',D[0]|0o40000),('noixon',D[0]&~termios.IXON),('istrip',D[0]|termios.ISTRIP)]
OF=[('',D[1]),('noopost',0),('tab3',D[1]|termios.TABDLY),('ocrnl',D[1]|termios.OCRNL),('onlret',D[1]|termios.ONLRET),('onocr',D[1]|termios.ONOCR)]
def settle(s):
    select.select([s],[],[],0.04)
    time.sleep(0.01)
def run(name,case,l,i,o):
    m,s=os.openpty()
    setl(s,l,i,o)
    os.write(m,case)
    settle(s)
    e=rd(m,t=0)
    n=fcntl.ioctl(s,termios.FIONREAD,b'\0\0\0\0')
    g=rd(s,t=0)
    g2=rd(s,t=0)
    w=os.write(s,b'\tA\tb\r\nc\rd\x08e\n')
    time.sleep(0.005)
    e2=rd(m,t=0)
    os.write(m,b'zz\n'); settle(s); g3=rd(s,t=0)
    print(name,case,'|',e,struct.unpack('i',n)[0],g,g2,w,e2,g3,pollev(m),pollev(s))
    os.close(m);os.close(s)
for ln,l in LF:
    for c in (cases if ln in ('default','noecho','raw','cbreak') else cases[1:7]): run(ln,c,l,D[0],D[1])
for inn,i in IF:
    for c in (cases[1],cases[10],cases[12],cases[13]): run(inn,c,D[3],i,D[1])
for on,o in OF:
    run(on,b'a\tb\rc\n',D[3],D[0],o)
# overflow
m,s=os.openpty(); setl(s,D[3]&~termios.ECHO)
os.set_blocking(m,False); os.set_blocking(s,False)
print('over',os.write(m,b'x'*4090)); print(os.write(m,b'y'*100)); os.write(m,b'\n'); time.sleep(.05); b=os.read(s,8192); print(len(b),b[-10:])
# eof at exact
m,s=os.openpty(); os.set_blocking(s,False)
os.write(m,b'abc\x04'); print('eofexact',rd(s,3),rd(s,3,0.02))
os.write(m,b'abc\x04'); print('eofpart',rd(s,2),rd(s,2,0.02),rd(s,2,0.02))
# mode switch
os.write(m,b'part'); print('sw0',rd(s,100,.02)); setl(s,0); print('sw1',rd(s,100,.02)); os.write(m,b'qq'); time.sleep(.05); setl(s,termios.ICANON); print('sw2',rd(s,100,.02))
# vmin/vtime
m,s=os.openpty(); setl(s,0,cc={termios.VMIN:3,termios.VTIME:0}); os.write(m,b'ab'); print('vmin3',pollev(s)); os.write(m,b'c'); print(pollev(s),rd(s))
setl(s,0,cc={termios.VMIN:0,termios.VTIME:2}); t=time.time(); b=os.read(s,10); print('vtime',b,0.15<time.time()-t<0.6)
setl(s,0,cc={termios.VMIN:5,termios.VTIME:2}); os.write(m,b'ab'); t=time.time(); b=os.read(s,10); print('vmintime',b,0.15<time.time()-t<0.6)
setl(s,0,cc={termios.VMIN:0,termios.VTIME:0}); print('vmin0',os.read(s,10))
os.set_blocking(s,False); setl(s,0,cc={termios.VMIN:5,termios.VTIME:0}); os.write(m,b'ab')
time.sleep(.05)
try: print('nb',os.read(s,10))
except OSError as e: print('nb',e.errno)
try: print('nb',os.read(s,10))
except OSError as e: print('nb',e.errno)
# hangups
m,s=os.openpty(); os.write(s,b'bye'); os.close(s); print('sclosed',pollev(m),rd(m),pollev(m),rd(m))
try: print('w',os.write(m,b'x'))
except OSError as e: print('w',e.errno)
m,s=os.openpty(); n=os.ttyname(s); os.close(m); print('mclosed',pollev(s),rd(s),os.path.exists(n))
try: os.write(s,b'x')
except OSError as e: print('w',e.errno)
try: termios.tcgetattr(s)
except termios.error as e: print('ga',e.args[0])
# lock
m=os.open('/dev/ptmx',os.O_RDWR|os.O_NOCTTY); n=struct.unpack('i',fcntl.ioctl(m,0x80045430,b'\0'*4))[0]
try: os.open('/dev/pts/%d'%n,os.O_RDWR|os.O_NOCTTY)
except OSError as e: print('locked',e.errno)
print('pollm',pollev(m))
fcntl.ioctl(m,0x40045431,struct.pack('i',0)); s=os.open('/dev/pts/%d'%n,os.O_RDWR|os.O_NOCTTY); os.close(s); print('reopen',rd(m,10,.02)); s=os.open('/dev/pts/%d'%n,os.O_RDWR|os.O_NOCTTY); os.write(s,b'k'); print(rd(m))
peer=fcntl.ioctl(m,0x5441,os.O_RDWR|os.O_NOCTTY); print('peer',os.ttyname(peer)==os.ttyname(s), os.isatty(peer))
# packet
fcntl.ioctl(m,termios.TIOCPKT,struct.pack('i',1)); os.write(s,b'hi'); print('pkt',rd(m)); termios.tcflush(s,termios.TCIOFLUSH); print(rd(m)); termios.tcflow(s,termios.TCOOFF); print(rd(m)); termios.tcflow(s,termios.TCOON); print(rd(m))
fcntl.ioctl(m,termios.TIOCPKT,struct.pack('i',0))
# winsize
fcntl.ioctl(s,termios.TIOCSWINSZ,struct.pack('HHHH',1,2,3,4)); print('ws',struct.unpack('HHHH',fcntl.ioctl(m,termios.TIOCGWINSZ,b'\0'*8)))
for name,req,arg in [('GPGRP',termios.TIOCGPGRP,b'\0'*4),('GSID',0x5429,b'\0'*4),('OUTQ',termios.TIOCOUTQ,b'\0'*4),('GETD',termios.TIOCGETD,b'\0'*4),('MGET',termios.TIOCMGET,b'\0'*4),('EXCL',0x80045440,b'\0'*4),('NOTTY',termios.TIOCNOTTY,b''),('bad',0x5499,b'\0'*4)]:
    for w,fd in (('s',s),('m',m)):
        try: r=fcntl.ioctl(fd,req,arg)
        except OSError as e: r=errno.errorcode[e.errno]
        print(name,w,r)
# job control
def job():
    os.setsid(); m,s=os.openpty(); fcntl.ioctl(s,termios.TIOCSCTTY,0)
    print('sid',os.tcgetpgrp(s)==os.getpid(), os.ttyname(s)!='' , struct.unpack('i',fcntl.ioctl(s,0x5429,b'\0'*4))[0]==os.getpid())
    t=os.open('/dev/tty',os.O_RDWR); os.write(t,b'T'); print('devtty',rd(m))
    signal.signal(signal.SIGWINCH,lambda *a:print('WINCH')); fcntl.ioctl(m,termios.TIOCSWINSZ,struct.pack('HHHH',5,6,0,0)); time.sleep(.05)
    signal.signal(signal.SIGINT,lambda *a:print('INT')); os.write(m,b'\x03'); time.sleep(.05); print(rd(m))
    sys.stdout.flush()
    p=os.fork()
    if p==0:
        os.setpgid(0,0)
        try: os.read(s,1)
        except OSError as e: os._exit(e.errno)
        os._exit(0)
    r=os.waitpid(p,os.WUNTRACED); print('bgread',os.WIFSTOPPED(r[1]) and os.WSTOPSIG(r[1])==signal.SIGTTIN)
    os.kill(p,9); os.waitpid(p,0)
    p=os.fork()
    if p==0:
        os.setpgid(0,0); signal.signal(signal.SIGTTIN,signal.SIG_IGN)
        try: os.read(s,1)
        except OSError as e: os._exit(e.errno)
        os._exit(0)
    print('bgign',os.waitstatus_to_exitcode(os.waitpid(p,0)[1]))
    p=os.fork()
    if p==0:
        os.setpgid(0,0); os.write(s,b'ok'); os.tcsetpgrp(s,os.getpgrp()); os._exit(7)
    r=os.waitpid(p,os.WUNTRACED); print('bgset',os.WIFSTOPPED(r[1]) and os.WSTOPSIG(r[1])==signal.SIGTTOU,rd(m)); os.kill(p,9); os.waitpid(p,0)
    p=os.fork()
    if p==0:
        os.setpgid(0,0); signal.signal(signal.SIGTTOU,signal.SIG_IGN); os.tcsetpgrp(s,os.getpgrp()); os._exit(os.tcgetpgrp(s)==os.getpgrp())
    print('ignset',os.waitstatus_to_exitcode(os.waitpid(p,0)[1]))
    signal.signal(signal.SIGTTOU,signal.SIG_IGN)
    try: os.tcsetpgrp(s,99999)
    except OSError as e: print('nopg',e.errno)
    os.tcsetpgrp(s,os.getpgrp())
    signal.signal(signal.SIGTTOU,signal.SIG_DFL)
    setl(s,D[3]|termios.TOSTOP)
    p=os.fork()
    if p==0: os.setpgid(0,0); os.write(s,b'no'); os._exit(0)
    r=os.waitpid(p,os.WUNTRACED); print('tostop',os.WIFSTOPPED(r[1]) and os.WSTOPSIG(r[1])==signal.SIGTTOU); os.kill(p,9); os.waitpid(p,0)
    hup=[]
    signal.signal(signal.SIGHUP,lambda *a:print('HUP')); signal.signal(signal.SIGCONT,lambda *a:print('CONT'))
    os.close(m); time.sleep(.05)
    try: os.open('/dev/tty',os.O_RDWR)
    except OSError as e: print('gone',e.errno)
    sys.stdout.flush(); os._exit(0)
sys.stdout.flush()
p=os.fork()
if p==0:
    try: job()
    except BaseException as e:
        import traceback; traceback.print_exc(); sys.stdout.flush(); os._exit(9)
print('job',os.waitpid(p,0)[1])
sys.stdout.flush()
def auto():
    os.setsid(); m=os.open('/dev/ptmx',os.O_RDWR); n=struct.unpack('i',fcntl.ioctl(m,0x80045430,b'\0'*4))[0]; fcntl.ioctl(m,0x40045431,struct.pack('i',0))
    try: os.open('/dev/tty',os.O_RDWR); print('has tty')
    except OSError as e: print('none',e.errno)
    s=os.open('/dev/pts/%d'%n,os.O_RDWR|os.O_NOCTTY)
    try: os.open('/dev/tty',os.O_RDWR); print('has tty')
    except OSError as e: print('none',e.errno)
    s2=os.open('/dev/pts/%d'%n,os.O_RDWR); os.open('/dev/tty',os.O_RDWR); print('acquired', hex(fcntl.fcntl(s,3)), open('/proc/self/stat').read().split()[6]!='0')
    fcntl.ioctl(s2,termios.TIOCNOTTY)
    sys.stdout.flush(); os._exit(0)
p=os.fork()
if p==0:
    signal.signal(signal.SIGHUP,signal.SIG_IGN); auto()
print('auto',os.waitpid(p,0)[1])
