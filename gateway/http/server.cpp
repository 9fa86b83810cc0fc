#include "gateway/http/server.hpp"

#include <cstring>
#include <httplib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "gateway/http/api.hpp"
#include "gateway/http/poller.hpp"
#include "gateway/http/streams.hpp"
#include "gateway/http/workers.hpp"
#include "topology/endpoint.hpp"

// What follows rests on how this version's Server::process_request reads and writes: read its source again
// (and run tests/gateway/http) before allowing another.
static_assert(std::string_view(CPPHTTPLIB_VERSION) == "0.11.4",
              "gateway/http is made for cpp-httplib 0.11.4");

namespace dkv {

namespace http {
namespace {

/// What httplib reads a request from and writes its answer to: memory.
class MemoryStream : public httplib::Stream {
 public:
  MemoryStream(std::string_view input, std::string& output) : input_(input), output_(output) {}

  bool is_readable() const override { return !input_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* data, std::size_t size) override {
    size = std::min(size, input_.size());
    std::memcpy(data, input_.data(), size);
    input_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char* data, std::size_t size) override {
    output_.append(data, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view input_;
  std::string& output_;
};

/// httplib's server for one worker thread. It never sees a client's bytes: it gets a head of ours, since its
/// own reading of Range, Accept-Encoding, Expect, REMOTE_ADDR, '#' and long lines is what the vetted head
/// is there to avoid. The pre-routing handler, which knows the real request, gives every answer.
class Exchange : public Responder, private httplib::Server {
 public:
  Exchange(Api& api, Shared& shared, std::size_t max_streams, std::size_t batch_bytes)
      : api_(api), shared_(shared), max_streams_(max_streams), batch_bytes_(batch_bytes) {
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      fill(response, request_ ? answer_within_limits() : std::move(ready_));
      return HandlerResponse::Handled;
    });
    set_post_routing_handler(
        [this](const httplib::Request&, httplib::Response& response) { trim(response); });
    set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
      fill(response,
           error_answer(500, "internal", "the request failed inside the server: its outcome is unknown"));
    });
  }

  ByteBudget::Share respond(const Request& request, std::string_view connection,
                            std::string& output) override {
    request_ = &request;
    connection_ = connection;
    const std::size_t before = output.size();
    run(request.method == "HEAD", output);
    if (watch_) output.replace(before, std::string::npos, kStreamHead);  // httplib knows no endless answer
    request_ = nullptr;
    return std::move(share_);
  }

  std::shared_ptr<const WatchAsked> take_watch() override { return std::exchange(watch_, nullptr); }

  void refuse(const Refusal& refusal, std::string& output) override {
    ready_ = error_answer(refusal.status, refusal.code, refusal.message);
    if (refusal.status == 429) ready_.headers.emplace_back("Retry-After", "1");
    close_with_ready(output);
  }

  bool redirect(const Request& request, std::string& output) override {
    try {
      auto answer = api_.redirect_without_body(request);
      if (!answer) return false;
      ready_ = std::move(*answer);
    } catch (const std::exception&) {
      return false;  // the request itself will show what is wrong
    }
    close_with_ready(output);
    return true;
  }

 private:
  void close_with_ready(std::string& output) {
    connection_ = "close";
    run(false, output);
  }

  void run(bool head_only, std::string& output) {
    MemoryStream stream(head_only ? "HEAD / HTTP/1.1\r\n\r\n" : "GET / HTTP/1.1\r\n\r\n", output);
    bool closed = false;
    process_request(stream, connection_ == "close", closed, nullptr);
  }

  Answer answer_within_limits() {
    const bool is_batch = request_->method == "POST" && request_->target.starts_with("/v1/batch");
    if (!is_batch) return within_limits(api_.answer(*request_));
    // What a batch has done cannot be refused any more: its answer's share is taken first.
    auto share = shared_.answers.take(batch_bytes_);
    if (!share) return no_room();
    Answer answer = api_.answer(*request_);
    if (answer.body.size() > kSmallBytes) share_ = std::move(*share);
    return answer;
  }

  static Answer no_room() {
    auto refusal = error_answer(429, "overloaded", "too many large answers are being sent: wait, then retry");
    refusal.headers.emplace_back("Retry-After", "1");
    return refusal;
  }

  /// Takes a share for a large body that is going to be sent. Only reads have one, so that refusing it
  /// loses nothing. Nor does an event stream that is one too many.
  Answer within_limits(Answer answer) {
    if (answer.watch && shared_.streams >= max_streams_) {
      auto refusal =
          error_answer(429, "overloaded", "too many watch here: wait, then retry, or ask another node");
      refusal.headers.emplace_back("Retry-After", "1");
      return refusal;
    }
    watch_ = answer.watch;
    if (answer.body.size() <= kSmallBytes || request_->method == "HEAD") return answer;
    if (auto share = shared_.answers.take(answer.body.size())) {
      share_ = std::move(*share);
      return answer;
    }
    auto refusal = no_room();
    for (auto& header : answer.headers) {
      if (header.first == "X-Shard") refusal.headers.push_back(std::move(header));
    }
    return refusal;
  }

  static void fill(httplib::Response& response, Answer answer) {
    response.status = answer.status;
    response.body = std::move(answer.body);
    if (!answer.content_type.empty()) response.set_header("Content-Type", answer.content_type);
    for (const auto& [name, value] : answer.headers) response.set_header(name, value);
  }

  /// Takes away what httplib adds and we do not mean.
  void trim(httplib::Response& response) const {
    response.headers.erase("Keep-Alive");
    response.headers.erase("Accept-Ranges");
    const bool has_no_body = response.status == 204 || response.status == 304;
    if (has_no_body) response.headers.erase("Content-Length");  // RFC 9110, 8.6
    // The server may have begun to stop while the backend was at work.
    if (shared_.stopping && connection_ != "close")
      response.set_header("Connection", "close");
    else if (connection_ == "keep-alive")
      response.set_header("Connection", "keep-alive");
  }

  Api& api_;
  Shared& shared_;
  const std::size_t max_streams_;
  const std::size_t batch_bytes_;  // that a batch's answer may have
  const Request* request_ = nullptr;
  std::shared_ptr<const WatchAsked> watch_;  // what the answer under way is the beginning of
  Answer ready_;                             // without a request: the answer
  ByteBudget::Share share_;                  // of the answer under way
  std::string_view connection_;
};

}  // namespace
}  // namespace http

namespace {

/// Room for form fields around a value of the largest size.
constexpr std::size_t kBodySlackBytes = 4096;
constexpr int kBacklog = 1024;

http::ConnectionLimits limits_of(const HttpServerOptions& options) {
  http::ConnectionLimits limits;
  limits.head.body_bytes = options.max_value_bytes + kBodySlackBytes;
  limits.head_timeout = options.head_timeout;
  limits.idle_timeout = options.idle_timeout;
  limits.transfer_timeout = options.transfer_timeout;
  limits.drain_timeout = options.transfer_timeout;
  limits.min_bytes_per_second = options.min_bytes_per_second;
  limits.drain_bytes = options.max_value_bytes * 4 + kBodySlackBytes;
  return limits;
}

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

Error bind_error(const std::string& address, int error) {
  const std::string reason = std::strerror(error);
  if (error == EADDRINUSE) {
    return {Errc::in_use,
            "http: " + address + " is already in use: stop what listens there, or choose another port"};
  }
  const bool bad = error == EADDRNOTAVAIL || error == EACCES;
  return {bad ? Errc::bad_request : Errc::io_error, "http: cannot listen on " + address + ": " + reason};
}

/// A listening, non-blocking socket. SO_REUSEADDR lets a restart bind while old connections linger; without
/// SO_REUSEPORT a second process cannot.
Result<int> listen_on(const std::string& host, std::uint16_t port) {
  const auto address = to_string(Endpoint{host, port});
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
      failed != 0) {
    return Error{Errc::bad_request, "http: no address for " + address + ": " + ::gai_strerror(failed)};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Socket listener{::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const int on = 1;
  const bool bound =
      listener.fd >= 0 && ::setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      ::bind(listener.fd, found->ai_addr, found->ai_addrlen) == 0 && ::listen(listener.fd, kBacklog) == 0;
  if (!bound) return bind_error(address, errno);
  return std::exchange(listener.fd, -1);
}

std::uint16_t port_of(int listener) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&name), &size);
  // Both families keep the port in the same place.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, Backend& backend)
      : options_(std::move(options)),
        backend_(backend),
        shared_{limits_of(options_), http::ByteBudget(options_.max_body_memory_bytes),
                http::ByteBudget(options_.max_answer_memory_bytes), options_.threads * 3 / 4},
        api_({options_.node_name, options_.max_value_bytes, options_.call_timeout}, backend) {}

  ~Impl() { stop(); }

  Result<void> start() {
    const auto listener = listen_on(options_.host, options_.port);
    if (!listener) return listener.error();
    port_ = port_of(*listener);
    try {
      streams_ = std::make_unique<http::Streams>(
          shared_, options_.max_stream_memory_bytes,
          [this](WatchCommand command) { backend_.tell_watcher(std::move(command)); });
      poller_ = std::make_unique<http::Poller>(
          *listener, shared_, http::Poller::Options{options_.max_connections, options_.linger},
          [this](http::ConnectionPtr connection, bool timed_out) {
            workers_->add(std::move(connection), timed_out);
          });
      for (std::size_t i = 0; i < options_.threads; ++i)
        exchanges_.push_back(std::make_unique<http::Exchange>(
            api_, shared_, options_.max_streams,
            std::min(options_.max_value_bytes, options_.max_answer_memory_bytes)));
      workers_ = std::make_unique<http::Workers>(
          options_.threads, shared_,
          [this](std::size_t worker, http::ConnectionPtr connection, bool timed_out) {
            serve(*exchanges_[worker], std::move(connection), timed_out);
          });
      streams_->start();
      poller_->start();
    } catch (const std::system_error& error) {
      return Error{Errc::io_error, std::string("http: cannot start: ") + error.what()};
    }
    return {};
  }

  void stop() {
    shared_.stopping = true;
    if (poller_) poller_->stop();
    if (streams_) streams_->stop();
    if (workers_) workers_->stop(options_.stop_grace);
  }

  void tell(const WatchNews& news) {
    if (streams_) streams_->tell(news);
  }

  std::uint16_t port() const { return port_; }

 private:
  void serve(http::Exchange& exchange, http::ConnectionPtr connection, bool timed_out) {
    const auto wait = connection->serve(exchange, timed_out);
    switch (wait.what) {
      case http::Wait::For::nothing:
        break;  // closes
      case http::Wait::For::thread:
        workers_->add(std::move(connection), false);
        break;
      case http::Wait::For::events:
        streams_->add(std::move(connection));
        break;
      case http::Wait::For::input:
      case http::Wait::For::output:
        poller_->park(std::move(connection), wait);
        break;
    }
  }

  const HttpServerOptions options_;
  Backend& backend_;
  http::Shared shared_;
  http::Api api_;
  std::vector<std::unique_ptr<http::Exchange>> exchanges_;
  std::uint16_t port_ = 0;
  // Ended in reverse order: the workers, which hand connections to the others, before those are gone.
  std::unique_ptr<http::Streams> streams_;
  std::unique_ptr<http::Poller> poller_;
  std::unique_ptr<http::Workers> workers_;
};

HttpServer::HttpServer(HttpServerOptions options, Backend& backend)
    : impl_(std::make_unique<Impl>(std::move(options), backend)) {}

HttpServer::~HttpServer() = default;

Result<void> HttpServer::start() { return impl_->start(); }

void HttpServer::stop() { impl_->stop(); }

void HttpServer::tell(const WatchNews& news) { impl_->tell(news); }

std::uint16_t HttpServer::port() const { return impl_->port(); }

}  // namespace dkv
