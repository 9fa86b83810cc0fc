// A small HTTP/1.1 client on plain sockets, for what the tests must see that curl hides: whether a request
// that failed may have happened, a Location header, half a request. curl is tested too, as what users type.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dkv::e2e {

using namespace std::chrono_literals;

/// A connected TCP socket. Closed by the destructor.
class Socket {
 public:
  /// "host:port", both numeric. Not open() when nobody listens or `timeout` passes.
  Socket(const std::string& endpoint, std::chrono::milliseconds timeout);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool open() const { return fd_ >= 0; }
  /// False when the peer is gone or does not take it all within the timeout.
  bool send(const std::string& bytes);
  /// Some bytes; empty when the peer has closed, or sent nothing within the timeout.
  std::string receive();
  /// The peer has closed it, or broken it: whatever would be sent now cannot be answered.
  bool closed_by_peer() const;
  /// After receive() returned nothing: it was the timeout, and the connection still stands.
  bool timed_out() const { return timed_out_; }

 private:
  int fd_ = -1;
  bool timed_out_ = false;
};

/// Listens on "host:port" and never accepts: a port in use. Throws when it cannot.
class Listener {
 public:
  explicit Listener(const std::string& endpoint);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

 private:
  int fd_;
};

struct HttpResponse {
  /// The status, or kNotSent: nobody took the request, so it did not happen; or kBroken: the connection
  /// ended or time ran out before the answer, so it may have happened or yet happen.
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string answered_by;  // "host:port", after redirects

  static constexpr int kNotSent = 0;
  static constexpr int kBroken = -1;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// Keeps one connection per endpoint. For one thread.
class HttpClient {
 public:
  explicit HttpClient(std::chrono::milliseconds timeout = 10s) : timeout_(timeout) {}

  /// One request, no redirects followed. `target` is the path and query as it stands in the request line.
  HttpResponse once(const std::string& endpoint, const std::string& method, const std::string& target,
                    const std::string& body = "", const HttpHeaders& headers = {});
  /// The same, following up to `max_redirects` 307 answers with method and body; the last answer counts.
  HttpResponse request(const std::string& endpoint, const std::string& method, const std::string& target,
                       const std::string& body = "", const HttpHeaders& headers = {}, int max_redirects = 3);

 private:
  struct Connection {
    Socket socket;
    std::string unread;
  };

  std::optional<HttpResponse> read_response(Connection& connection, bool has_body);

  std::chrono::milliseconds timeout_;
  std::map<std::string, std::unique_ptr<Connection>> connections_;
};

/// Takes "http://host:port/target" apart.
std::pair<std::string, std::string> split_url(const std::string& url);

/// Percent-encodes every byte but letters, digits and "-._~".
std::string percent_encode(const std::string& bytes);

/// "/v1/kv/" and the encoded key.
std::string kv_path(const std::string& key);

}  // namespace dkv::e2e
