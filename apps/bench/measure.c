/* Runs a command and says what it took, as one JSON line on file descriptor 3:
 *   wall      seconds from start to end
 *   user,sys  CPU seconds of the command and all that it waited for
 *   rssTree   the most resident memory (KiB) of the whole process group at once, looked at every 10 ms
 *   rssOne    the most resident memory (KiB) of its largest single process
 *   read      bytes that the command and all that it waited for have read: files, pipes and sockets
 *   code      its exit code, or 128 + the signal that ended it
 *
 *   cc -O2 -o measure measure.c && ./measure COMMAND ARG... 3>figures
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Resident KiB of all processes of the group. */
static long group_rss(pid_t group) {
  long total = 0, page = sysconf(_SC_PAGESIZE) / 1024;
  DIR *d = opendir("/proc");
  struct dirent *e;
  while (d && (e = readdir(d)) != NULL) {
    if (e->d_name[0] < '0' || e->d_name[0] > '9') continue;
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%.20s/stat", e->d_name);
    FILE *f = fopen(path, "r");
    if (!f) continue;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = 0;
    char *p = strrchr(line, ')'); /* the name may hold anything */
    int pgrp = 0;
    long rss = 0;
    if (p && sscanf(p + 2, "%*c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %*u %*u %ld",
                    &pgrp, &rss) == 2 && pgrp == group)
      total += rss * page;
  }
  if (d) closedir(d);
  return total;
}

/* Bytes read by a process and by those that it waited for. */
static long long bytes_read(pid_t pid) {
  char path[64];
  long long bytes = 0;
  snprintf(path, sizeof path, "/proc/%d/io", pid);
  FILE *f = fopen(path, "r");
  if (f && fscanf(f, "rchar: %lld", &bytes) != 1) bytes = 0;
  if (f) fclose(f);
  return bytes;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  double start = now();
  pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    close(3);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    _exit(127);
  }
  setpgid(pid, pid);
  long peak = 0;
  int status;
  struct rusage use;
  for (;;) {
    /* It stays to be looked at until it is waited for. */
    siginfo_t ended = {0};
    waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == pid) break;
    long rss = group_rss(pid);
    if (rss > peak) peak = rss;
    usleep(10000);
  }
  double wall = now() - start;
  long long read = bytes_read(pid);
  wait4(pid, &status, 0, &use);
  dprintf(3, "{\"wall\":%.4f,\"user\":%.4f,\"sys\":%.4f,\"rssTree\":%ld,\"rssOne\":%ld,\"read\":%lld,\"code\":%d}\n", wall,
          (double)use.ru_utime.tv_sec + (double)use.ru_utime.tv_usec / 1e6,
          (double)use.ru_stime.tv_sec + (double)use.ru_stime.tv_usec / 1e6, peak, use.ru_maxrss, read,
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
