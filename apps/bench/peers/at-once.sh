#!/bin/sh
# Runs commands at once, a process each, and ends when all have: at-once.sh 'COMMAND…' 'COMMAND…'
set -e
pids=
for command; do
  sh -c "exec $command" &
  pids="$pids $!"
done
for pid in $pids; do wait "$pid"; done
