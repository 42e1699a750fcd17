/** coreutils, findutils, tar and gzip. */
import { type Case, cases } from './case.ts';

export const fileCases: readonly Case[] = [
  ...cases('coreutils', {
    copy_and_link: `
cd /tmp; mkdir -p a/b/c; echo text > a/b/f; ln -s f a/b/s; ln a/b/f a/b/h; mkfifo a/p; chmod 640 a/b/f; find a -depth -exec touch -h -d '2001-02-03 04:05:06.789' {} +
cp -a a z; find z -printf '%P %y %m %s %l %n %TY-%Tm-%Td %TH:%TM\\n' | sort | grep -v '^ '
stat -c '%h %Y' z/b/f z/b/h; [ z/b/f -ef z/b/h ] && echo same; cp -r --reflink=auto a/b y; ls y; mv y x; ls -d x y 2>&1 | sed 's/.*: //'
mv x/f x/g; ls x; mv -n x/g x/h; ls x; mv x a/; ls a; cp -u a/b/f a/x/new; cp --sparse=always a/b/f sp; cat sp; cp nothere 2>&1 | sed 's/.*: //' | head -1
ln -sf /nowhere dangling; cat dangling 2>&1 | sed 's/.*: //'; readlink dangling; readlink -f a/b/s; ln -s loop loop; cat loop 2>&1 | sed 's/.*: //'; rm -rf a z; ls`,
    mode_and_owner: `
cd /tmp; touch f; for m in 0 644 755 4755 2755 1777 u+s,g-w a=r; do chmod $m f; stat -c '%a %A' f; done
chown 1000:1001 f; stat -c '%u:%g' f; chown nobody:nogroup f; stat -c '%U:%G' f; chown :root f; stat -c %G f; chmod 4755 f; chown 5 f; stat -c %a f
mkdir d; chmod 2775 d; chgrp 42 d; touch d/x; stat -c %g d/x; mkdir d/e; stat -c %a d/e; chmod -R o-rx d; find d -printf '%P %m\\n' | sort
ln -s f l; chown -h 7 l; stat -c %u l f; umask 027; mkdir n; touch n/f; stat -c %a n n/f; install -m 711 -o 3 f g; stat -c '%a %u' g`,
    touch_and_stat: `
cd /tmp; touch -d '2020-01-02 03:04:05.123456789 UTC' f; TZ=UTC stat -c '%y %x' f; touch -a -d @5 f; TZ=UTC stat -c '%X %Y' f
touch -r f g; stat -c '%X' g; touch -c none; ls none 2>&1 | sed 's/.*: //'; touch -d '1969-12-31 00:00 UTC' f; stat -c %Y f; stat -c '%F %s %h %B' f . /dev/null /etc/passwd | head -1
stat -c '%n %F %t,%T' /dev/null /dev/zero /dev/full /dev/tty; stat -c %F / /proc /tmp /proc/self/exe; stat -L -c %F /proc/self/exe; date -u -d @0 +%F; test f -nt g; echo $?; test -s f; echo $?`,
    dd_and_truncate: `
cd /tmp; dd if=/dev/zero of=f bs=4k count=25 2>&1 | head -2; dd if=/dev/urandom of=g bs=1M count=3 status=none; stat -c %s g; truncate -s 10M s; stat -c '%s %b' s
echo end | dd of=s bs=1 seek=5000000 conv=notrunc status=none; tail -c +5000001 s | head -c 3; echo; stat -c %s s; truncate -s 3 f; stat -c %s f; truncate -s +10 f; od -c f; truncate -s '<5' f; stat -c %s f
dd if=g of=h bs=123457 status=none; cmp g h && echo same; dd if=g bs=1000 skip=1 count=1 status=none | wc -c; printf abcdef > t; printf XY | dd of=t bs=1 seek=2 conv=notrunc status=none; cat t; echo
dd if=/dev/full of=/dev/null count=1 2>&1 | tail -1 | cut -d' ' -f1-3; echo x > /dev/full; fallocate -l 1M fa; stat -c %s fa; fallocate -p -o 4096 -l 8192 fa; split -b 100k g part.; ls part.* | wc -l; cat part.* | cmp - g && echo joined; shred -u t; ls t 2>&1 | sed 's/.*: //'`,
    space: `
cd /tmp; mkdir d; head -c 100000 /dev/zero > d/f; du -b d/f; du -sb d | cut -f2; du -s --apparent-size d/f; df --output=target / /tmp /dev | sort; df -i /tmp > /dev/null && echo inodes
df --output=fstype /tmp | tail -1; stat -f -c '%T' /tmp /proc /dev/pts; sync; sync d/f; df -h nothere 2>&1 | sed 's/.*: //'`,
    identity: `
id; id -u nobody; whoami; groups; id nobody; su nobody -s /bin/sh -c 'id; whoami; cat /etc/shadow 2>&1 | sed "s/.*: //"; touch /x 2>&1 | sed "s/.*: //"; echo $HOME'
su nobody -s /bin/sh -c 'exit 4'; echo $?; setpriv --reuid 1000 --regid 1000 --clear-groups id; setpriv --reuid 1000 --clear-groups sh -c 'kill -0 1 2>&1; chown 0 /tmp 2>&1; chroot / true 2>&1' | sed 's/.*: //'
runuser -u daemon -- id -un; nice -n 5 nice; nproc > /dev/null && echo nproc; hostname; logname 2>&1 | sed 's/.*: //'; tty; arch; uname -s; uname -m; uname -o; chroot / /bin/echo in chroot; nohup echo nohup 2> /dev/null; pathchk /tmp/x && echo ok; mkdir /tmp/c; chroot /tmp/c true 2>&1 | sed 's/.*: //'`,
    text: `
seq 100 | shuf --random-source=/dev/zero | sort -n | tail -2; seq 10 | tac | head -3; printf 'b 2\\na 1\\n' | sort | join - <(printf 'a x\\nb y\\n'); seq 5 | paste -sd+; expr 6 \\* 7; factor 1234567890
comm -12 <(seq 5) <(seq 3 8); nl <(echo x); fold -w 3 <<< abcdefgh; tr -d aeiou <<< education; od -An -tx1 <<< hi; base64 <<< hello; md5sum /etc/passwd; sha256sum < /etc/group; cksum /etc/passwd; wc /etc/passwd; expand <<< $'a\\tb'; csplit -s - 3 < <(seq 5) -f /tmp/cs; cat /tmp/cs01
numfmt --to=iec 123456; printf '%s\\n' z a m | sort -c 2>&1 | sed 's/.*: //'; tsort <<< 'a b b c'; ptx <<< 'one two' | wc -l; sort -R /etc/passwd | wc -l; sort -S 1M -T /tmp <(seq 100000 | rev) | md5sum; split -n l/3 --filter='wc -l' <(seq 9) 2> /dev/null; tail -f /etc/passwd & sleep 0.2; kill $!; wait $! ; echo $?`,
    directories: `
cd /tmp; mkdir -p a/{b,c}/{d,e}; mkdir a 2>&1 | sed 's/.*: //'; rmdir a 2>&1 | sed 's/.*: //'; rmdir -p a/b/d 2>&1 | sed 's/.*: //'; ls -R a; mktemp -d x.XXXX > /dev/null && ls -d x.* | wc -l
mkdir many; cd many; touch $(seq 3000); ls | wc -l; ls -U | sort -n | md5sum; rm [1-9]; ls | wc -l; rm *; ls -A | wc -l; cd ..; rmdir many; mkdir $(printf 'n%.0s' $(seq 255)); ls | wc -L; mkdir $(printf 'n%.0s' $(seq 256)) 2>&1 | sed 's/.*: //'
mkdir deep; cd deep; for i in $(seq 60); do mkdir sub; cd sub; done; pwd | wc -c; cd /tmp; rm -r deep; ls -d /tmp; realpath a/../a/./c; basename /x/y.z .z; dirname /x/y; ls -la /tmp/a | awk '{print $1, $2, $3, $9}'; vdir / > /dev/null && echo listed; ls -i / > /dev/null; ls / | tr '\\n' ' '; pwd -P; unlink a 2>&1 | sed 's/.*: //'`,
  }),
  ...cases('findutils', {
    find: `
find /etc -type f -name '*.conf' | sort; find /usr/bin -perm -4000 | sort; find /etc -maxdepth 1 -type l -printf '%f -> %l\\n' | sort; find /usr/lib -name 'libc.so*' | sort; find / -xdev -type d | sort | md5sum; find /usr -xdev | wc -l
cd /tmp; touch -d '3 days ago' old; touch new; find . -type f -mtime +1; find . -newer old -type f; find . -empty -type f | sort; find / -xdev -size +20M -type f | sort; find . -name old -delete; ls; find /usr/share/perl5 -type f -exec cat {} + | md5sum; find /etc -user root -group shadow | sort; find / -xdev -nouser`,
    xargs: `
seq 10 | xargs -n 3; seq 3 | xargs -I{} echo item-{}; find /etc -name 'pass*' -print0 | xargs -0 ls | sort; seq 20 | xargs -P 4 -n 1 sh -c 'exit 0'; echo $?; echo x | xargs false; echo $?; echo x | xargs nosuch 2> /dev/null; echo $?; seq 100000 | xargs | wc -l`,
  }),
  ...cases(
    'archives',
    {
      tar: `
cd /tmp; tar cf all.tar -C /usr share; tar tf all.tar | wc -l; mkdir x; tar xf all.tar -C x; cd x/share; find . -type f -print0 | sort -z | xargs -0 md5sum | md5sum
cd /usr/share; find . -type f -print0 | sort -z | xargs -0 md5sum | md5sum; diff -r --no-dereference /usr/share /tmp/x/share && echo equal; find /tmp/x -type l | wc -l; find /tmp/x/share -printf '%P %y %m %u %g %l %T@\\n' | sort | sed 's/\\.[0-9]*$//' | md5sum`,
      gzip: `
cd /tmp; tar cf - -C /usr/share perl5 doc | gzip -1 > t.gz; gzip -t t.gz && echo good; zcat t.gz | tar tf - | sort | md5sum; tar xzf t.gz; ls; gzip -d t.gz; ls -d t; tar tvf t | wc -l; seq 100000 > s; gzip -9 s; stat -c %s s.gz; zgrep -c 77 s.gz; gunzip < s.gz | md5sum; gzip -l s.gz | tail -1 | awk '{print $2}'; echo bad | gunzip 2>&1 | sed 's/.*: //'
tar cf u.tar --exclude='*.gz' -C /etc .; tar df u.tar -C /etc; echo $?; tar --delete -f u.tar ./passwd; tar tf u.tar | grep -c passwd; tar czf - /etc 2> /dev/null | tar xzf - -O etc/passwd | cmp - /etc/passwd && echo same; tar rf u.tar s.gz; tar tf u.tar | tail -1`,
    },
    { timeoutMs: 180_000 },
  ),
];
