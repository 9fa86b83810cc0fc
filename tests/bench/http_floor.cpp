// What cpp-httplib gives as packaged: a server with an empty handler, with the settings that any user would
// find (TCP_NODELAY, keep-alive without an early end, threads for every connection), for the load test to
// compare with. Usage: http_floor HOST PORT. Ends on SIGINT or SIGTERM.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <httplib.h>
#include <limits>
#include <thread>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: http_floor HOST PORT\n");
    return 2;
  }
  // Signals are taken by the thread that waits for them, and by no other.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  constexpr std::size_t kThreads = 64;
  httplib::Server server;
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(std::numeric_limits<std::size_t>::max());
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // httplib deletes it
  server.Get("/.*", [](const httplib::Request&, httplib::Response&) {});
  server.Put("/.*", [](const httplib::Request&, httplib::Response&) {});
  if (!server.bind_to_port(argv[1], std::atoi(argv[2]))) {
    std::fprintf(stderr, "http_floor: cannot listen on %s:%s\n", argv[1], argv[2]);
    return 1;
  }
  std::thread serving([&] { server.listen_after_bind(); });
  std::printf("listening on %s:%s\n", argv[1], argv[2]);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  server.stop();
  serving.join();
  return 0;
}
