/** bash and busybox sh. */
import { type Case, cases } from './case.ts';

export const shellCases: readonly Case[] = [
  ...cases('bash', {
    hello: 'echo hello',
    pipeline: `
cut -d: -f7 /etc/passwd | sort | uniq -c | sort -k1,1nr -k2 | awk '{print $2, $1}' | sed 's#/#_#g' |
  grep -v nothing | tee /tmp/copy | xargs -n2 echo row
wc -l < /tmp/copy
seq 20000 | awk '{s+=$1} END {print s}'
yes | head -n 100000 | wc -c`,
    here_documents: `
name=world
cat <<END
hello $name $((6 * 7)) $(echo nested)
END
cat <<'END'
$name stays
END
cat <<-END
	tab gone
	END
tr a-z A-Z <<< "here string"
for i in $(seq 200); do echo "line $i of a long document that may not fit into the pipe"; done > /tmp/long
cat <<END | md5sum
$(cat /tmp/long; cat /tmp/long; cat /tmp/long; cat /tmp/long; cat /tmp/long; cat /tmp/long; cat /tmp/long)
END`,
    process_substitution: `
diff <(printf 'a\\nb\\n') <(printf 'a\\nc\\n'); echo "diff $?"
paste <(seq 3) <(seq 4 6)
seq 10 | tee >(wc -l > /tmp/n) >(tail -1 > /tmp/last) > /dev/null
sleep 0.2; cat /tmp/n /tmp/last
while read -r a b; do echo "$b-$a"; done < <(printf '1 2\\n3 4\\n')`,
    traps: `
trap 'echo exit trap $?' EXIT
trap 'echo usr1' USR1; trap 'echo term' TERM
kill -USR1 $$; kill -TERM $$; kill -USR1 $BASHPID
( trap 'echo sub exit' EXIT; exit 3 ); echo "sub $?"
set -E; trap 'echo err at $BASH_COMMAND' ERR; false; (exit 4)
bash -c 'trap "echo int; exit 9" INT; kill -INT $$; echo not reached'; echo $?
sh -c 'trap "" TERM; kill -TERM $$; echo survived'
bash -c 'kill -KILL $$'; echo $?
exit 5`,
    wait_and_jobs: `
for i in 1 2 3; do (sleep 0.0$i; exit $i) & pids+=($!); done
for p in "\${pids[@]}"; do wait $p; echo "status $?"; done
(exit 7) & wait -n; echo "any $?"
sleep 30 & kill $!; wait $!; echo "killed $?"
sleep 0.05 & jobs | sed 's/ *$//'; wait; echo done
wait 99999; echo "none $?"
(sleep 0.1; echo late) & echo early; wait`,
    job_control: `
set -m
sleep 30 &
kill -STOP %1; sleep 0.1; jobs | awk '{print $2}'
bg %1 > /dev/null; sleep 0.1; jobs | awk '{print $2}'
kill %1; wait %1; echo $?
cat < /dev/null & wait; echo ok`,
    subshells: `
x=1; (x=2; echo $x; (x=3; echo $x); echo $x); echo $x
echo $(echo $(echo $(echo deep)))
f() { local y=1; ( y=2; exit 6 ); echo "$? $y"; }; f
{ echo group; } | cat; coproc { cat; }; echo through >&\${COPROC[1]}; read -r l <&\${COPROC[0]}; echo $l
echo $BASH_SUBSHELL $(echo $BASH_SUBSHELL)`,
    exit_codes: `
true; echo $?; false; echo $?
/nonexistent 2> /dev/null; echo $?
/etc/passwd 2> /dev/null; echo $?
/etc 2> /dev/null; echo $?
printf garbage > /tmp/bad; chmod +x /tmp/bad; /tmp/bad 2> /dev/null; echo $?
printf '\\177ELFgarbage' > /tmp/bad; /tmp/bad 2> /dev/null; echo $?
printf '#!/no/such\\n' > /tmp/bad; /tmp/bad 2> /dev/null; echo $?
printf '#!/bin/sh -e\\nfalse\\n' > /tmp/ok; chmod +x /tmp/ok; /tmp/ok; echo $?
sh -c 'kill -SEGV $$'; echo $?; sh -c 'kill -9 $$'; echo $?
set -o pipefail; false | true; echo $?; true | false | true; echo "\${PIPESTATUS[@]}"
yes | head -1; echo "\${PIPESTATUS[@]}"
(exit 300); echo $?; exit 77`,
    ulimit: `
ulimit -n 64; ulimit -n; ulimit -Hn
ulimit -c 0; ulimit -c; ulimit -s 4096; ulimit -s
(ulimit -f 8; dd if=/dev/zero of=/tmp/big bs=1k count=100 2> /dev/null; echo $?; stat -c %s /tmp/big)
(ulimit -n 8; exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null; cat /dev/null; echo $?) 2>&1 | sed 's/.*: //'
(ulimit -t 1; while :; do :; done); echo $?
ulimit -S -n 32; ulimit -S -n 64; ulimit -S -n; ulimit -H -n 48; ulimit -n 50 2> /dev/null; echo $?`,
    many_processes: 'for ((i = 0; i < 500; i++)); do /bin/true || echo bad; done; echo done',
    expansions: `
shopt -s nullglob extglob
cd /etc; echo passw?; echo no*such; echo @(passwd|group)
a=(one two three); echo \${#a[@]} \${a[@]:1} "\${a[*]/o/0}"; declare -A m=([k]=v); echo \${m[k]}
s=/a/b/c.txt; echo \${s##*/} \${s%.*} \${s^^} \${#s} \${unset:-default}
printf '%q %5.2f %x %b\\n' 'a b' 3.14159 255 'x\\ty'
echo {1..5} {a..e..2} $((2**40)) $((0x1f)) $((7 % -3))
[[ abc =~ ^a(.)c$ ]] && echo \${BASH_REMATCH[1]}
IFS=: read -r u _ id _ < /etc/passwd; echo $u $id; mapfile -t l < <(seq 3); echo \${l[2]}`,
    redirections: `
exec 3<> /tmp/f; echo one >&3; echo two >&3; exec 3>&-; cat /tmp/f
exec {fd}< /tmp/f; read -r -u $fd l; echo $l; cat <&$fd; exec {fd}<&-
set -C; echo x > /tmp/f 2> /dev/null; echo $?; echo y >| /tmp/f; cat /tmp/f
echo out; echo err >&2; { echo both; echo both2 >&2; } &> /tmp/b; cat /tmp/b
ls /nope 2>&1 | sed 's/.*: //'; echo dev > /dev/stdout; cat /dev/fd/0 <<< fd0
echo append >> /tmp/f; cat < /tmp/f; : > /tmp/f; wc -c < /tmp/f
mkfifo /tmp/p; (echo fifo > /tmp/p) & cat /tmp/p; wait
(echo a; echo b >&2) 2>&1 >/dev/null`,
    read_and_timeouts: `
read -t 0.1 x < <(sleep 5); echo "timeout $(( $? > 128 ))"
printf 'abcdef' | { read -N 3 x; echo $x; read -n 2 y; echo $y; }
printf 'a\\0b\\0' | while IFS= read -r -d '' x; do echo "[$x]"; done
timeout 0.2 sleep 5; echo $?; timeout -s KILL 0.2 sleep 5; echo $?; timeout 5 true; echo $?
SECONDS=0; sleep 1.1; (( SECONDS >= 1 && SECONDS <= 3 )) && echo slept`,
    signals: `
kill -l | head -3
sleep 20 & p=$!; kill -0 $p && echo alive; kill -STOP $p; kill -CONT $p; kill -HUP $p; wait $p; echo $?
kill -0 $p 2> /dev/null; echo $?; kill -0 1 && echo init
bash -c 'trap "echo chld" CHLD; true & wait' ; (trap '' PIPE; yes 2> /dev/null | head -1)
bash -c 'sleep 0.1 & sleep 20 & trap "kill %2; exit 8" EXIT; wait -n'; echo $?
pkill -f nothing-like-this; echo $?; pgrep -x bash > /dev/null; echo $?`,
    stdin_script: 'read -r a; read -r b; echo "$b $a"; cat | wc -l',
    environment: `
env | grep -E '^(PATH|HOME|LANG|TERM)=' | sort; export X=1; env | grep ^X; env -i A=b env; unset HOME; echo "[$HOME]"
A=1 B=2 sh -c 'echo $A$B'; echo $0; sh -c 'echo $0 $1 $#' name arg; set -- a b c; shift; echo $* $#
pwd; cd /usr/../tmp; pwd; cd -; umask; umask 077; touch /tmp/u; stat -c %a /tmp/u; type -t cd ls`,
    big_arguments: `
x=$(head -c 100000 /dev/zero | tr '\\0' x); /bin/echo $x | wc -c
/bin/echo $(seq 20000) | md5sum; /bin/echo $(seq 1000000) 2> /dev/null; echo $?
find /usr/share -name '*.txt' | sort | xargs -n 50 echo | wc -l`,
  }),
  ...cases(
    'bash',
    { stdin: 'read -r a; read -r b; echo "$b $a"; cat | wc -l; read -r x; echo $?' },
    { stdin: 'first\nsecond\n3\n4\n5\n' },
  ),
  ...cases('busybox', {
    sh: `
busybox sh -c 'i=0; while [ $i -lt 5 ]; do echo $i; i=$((i + 1)); done | busybox awk "{s += \\$1} END {print s}"'
busybox sh -c 'trap "echo bye" EXIT; (exit 3); echo $?; sleep 0.1 & wait; echo a | tr a b'
busybox sh -c 'ls /etc | grep -c passwd; f() { return 4; }; f; echo $?; busybox seq 3 | busybox sort -r'
busybox find /etc -name passwd; busybox md5sum /etc/passwd; busybox wc -l < /etc/passwd; busybox --list | head -5`,
    tools: `
cd /tmp; busybox tar cf t.tar -C /etc passwd group; busybox tar tf t.tar; busybox gzip t.tar; busybox zcat t.tar.gz | busybox md5sum
busybox vi --help 2>&1 | head -1; busybox stat -c '%n %s %a' /etc/passwd; echo 'print 1' | busybox sed s/1/2/; busybox cpio --help 2>&1 | head -1
busybox ps | busybox grep -c init; busybox mkdir -p a/b/c; busybox find a; busybox rm -r a; busybox test -e a; echo $?`,
  }),
];
