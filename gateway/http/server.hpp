// The HTTP door of a node: serves the API (README.md in this folder) on one address, from a Backend.
//
// Built on cpp-httplib, which writes the answers, and on what it lacks: a strict head (head.hpp), requests
// that arrive without holding a thread (connection.hpp, poller.hpp), keys taken apart byte for byte
// (target.hpp). Bounded: connections, heads, bodies, the memory of large bodies and of
// large answers, every wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "gateway/http/backend.hpp"
#include "messages/limits.hpp"

namespace dkv {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address, or a name of this machine
  std::uint16_t port = 8080;       // 0: any free one
  std::string node_name;           // of this node, never redirected to
  std::size_t max_value_bytes = kMaxValueBytes;
  std::size_t threads = 64;  // operations under way at once
  std::size_t max_connections = 10'000;
  std::size_t max_streams = 5'000;  // of them
  /// What the clients of event streams have not taken yet: past it, those who are behind are cut.
  std::size_t max_stream_memory_bytes = std::size_t{256} << 20;
  // Over all connections: large bodies until they are acted upon, large answers until they are sent.
  std::size_t max_body_memory_bytes = std::size_t{256} << 20;
  std::size_t max_answer_memory_bytes = std::size_t{256} << 20;

  std::chrono::milliseconds call_timeout{5'000};   // for the backend's answer
  std::chrono::milliseconds head_timeout{5'000};   // from a request's first byte to the end of its head
  std::chrono::milliseconds idle_timeout{60'000};  // between requests
  // In each such time a body, or an answer, must move what it moves at min_bytes_per_second.
  std::chrono::milliseconds transfer_timeout{10'000};
  std::size_t min_bytes_per_second = std::size_t{64} << 10;
  std::chrono::milliseconds linger{30};       // a thread waits so long for a client's next request
  std::chrono::milliseconds stop_grace{700};  // for requests in progress
};

class HttpServer {
 public:
  /// `backend` must outlive the server.
  HttpServer(HttpServerOptions options, Backend& backend);
  /// stop(), and then waits for every call that the backend has not answered yet.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Binds and serves; call it once. Errors: in_use when the address belongs to somebody else, bad_request
  /// for a host that is none or not this machine's, io_error for what the system lacks.
  Result<void> start();
  /// What a watch that this server has opened is told: from the watcher's thread, never waits.
  void tell(const WatchNews& news);
  /// Accepts nothing more, closes what is idle or half sent and every event stream, answers what is in
  /// progress if that takes no longer than the grace, and returns within a second. Idempotent.
  void stop();
  /// The bound port; 0 before start().
  std::uint16_t port() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dkv
