# Draws growth.csv. Usage: gnuplot -c bench/plot.gnuplot growth.csv plot.svg
set datafile separator ","
set terminal svg size 1200,420 dynamic enhanced font "sans,12" background "#ffffff"
set output ARG2
set multiplot layout 1,3
set logscale x
set grid
set key bottom center
set xlabel "connections (512 B, one in flight each)"
set style line 1 linecolor "#1f5fa8" linewidth 2 pointtype 7 pointsize 0.6
set style line 2 linecolor "#d0561c" linewidth 2 pointtype 5 pointsize 0.6

set title "thousand messages a second"
set yrange [0:*]
plot ARG1 every ::1 using 1:($2/1000) with linespoints linestyle 1 title "epoll", \
     ARG1 every ::1 using 1:($3/1000) with linespoints linestyle 2 title "io\\_uring"

set title "server CPU time a message, microseconds"
set logscale y
set yrange [*:*]
set key top right
plot ARG1 every ::1 using 1:4 with linespoints linestyle 1 title "epoll", \
     ARG1 every ::1 using 1:5 with linespoints linestyle 2 title "io\\_uring"

set title "median latency, microseconds"
set key top left
plot ARG1 every ::1 using 1:6 with linespoints linestyle 1 title "epoll", \
     ARG1 every ::1 using 1:7 with linespoints linestyle 2 title "io\\_uring"
unset multiplot
