// The lightest HTTP/1.1 client that will do, over one blocking socket: what a load test measures must be the
// server, not its own client. Keep-alive; answers with a Content-Length or without a body. Not for anything
// else.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "messages/result.hpp"

namespace dkv::bench {

struct HttpAnswer {
  int status = 0;
  std::string location;
  std::string body;
};

/// Whether anything of a request may have reached the server when it failed.
enum class Sent : std::uint8_t { no, maybe };

class HttpConnection {
 public:
  /// `endpoint`: "IPv4:port". Connects at the first request, and again after a failure.
  HttpConnection(std::string endpoint, int timeout_ms);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// Errors: unavailable when nothing was sent, unknown_outcome when there was no (whole) answer.
  Result<HttpAnswer> request(std::string_view method, std::string_view path, std::string_view body);

 private:
  bool open();
  void close();
  bool send(std::string_view bytes);
  bool fill();
  Result<HttpAnswer> receive(bool head_only);

  std::string endpoint_;
  int timeout_ms_;
  int socket_ = -1;
  std::string buffer_;  // received and not used yet
};

/// One thread's connections, kept alive, by endpoint. Follows redirects, at most five.
class HttpClient {
 public:
  explicit HttpClient(int timeout_ms) : timeout_ms_(timeout_ms) {}

  /// `redirects` is raised by each 307 followed.
  Result<HttpAnswer> request(const std::string& endpoint, std::string_view method, std::string_view path,
                             std::string_view body, std::uint64_t& redirects);

 private:
  int timeout_ms_;
  std::map<std::string, std::unique_ptr<HttpConnection>, std::less<>> connections_;
};

}  // namespace dkv::bench
