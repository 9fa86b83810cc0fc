#include "tests/bench/raw_http.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dkv::bench {

namespace {

constexpr int kMaxRedirects = 5;
constexpr std::size_t kMaxHeadBytes = 65536;

/// The value of a header in a head whose lines end in CRLF; empty when absent.
std::string_view header(std::string_view head, std::string_view name) {
  for (std::size_t line = head.find("\r\n"); line != std::string_view::npos;
       line = head.find("\r\n", line + 2)) {
    const std::string_view rest = head.substr(line + 2);
    if (rest.size() <= name.size() || rest[name.size()] != ':') continue;
    if (strncasecmp(rest.data(), name.data(), name.size()) != 0) continue;
    std::string_view value = rest.substr(name.size() + 1, rest.find("\r\n") - name.size() - 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    return value;
  }
  return {};
}

template <class Int>
bool parse(std::string_view text, Int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end != text.data();
}

Error no_answer(const std::string& endpoint) {
  return {Errc::unknown_outcome, endpoint + ": the connection ended, or timed out, before the answer"};
}

}  // namespace

HttpConnection::HttpConnection(std::string endpoint, int timeout_ms)
    : endpoint_(std::move(endpoint)), timeout_ms_(timeout_ms) {}

HttpConnection::~HttpConnection() { close(); }

void HttpConnection::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  buffer_.clear();
}

bool HttpConnection::open() {
  if (socket_ >= 0) return true;
  const std::size_t colon = endpoint_.rfind(':');
  sockaddr_in address{};
  std::uint16_t port = 0;
  if (colon == std::string::npos || !parse(std::string_view(endpoint_).substr(colon + 1), port)) return false;
  if (inet_pton(AF_INET, endpoint_.substr(0, colon).c_str(), &address.sin_addr) != 1) return false;
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return false;
  const int on = 1;
  const timeval limit{timeout_ms_ / 1000, timeout_ms_ % 1000 * 1000};
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  close();
  return false;
}

bool HttpConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool HttpConnection::fill() {
  char chunk[65536];
  for (;;) {
    const ssize_t received = recv(socket_, chunk, sizeof chunk, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    buffer_.append(chunk, static_cast<std::size_t>(received));
    return true;
  }
}

Result<HttpAnswer> HttpConnection::request(std::string_view method, std::string_view path,
                                           std::string_view body) {
  std::string bytes;
  bytes.reserve(method.size() + path.size() + body.size() + 128);
  bytes.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: ").append(endpoint_);
  if (method != "GET") bytes.append("\r\nContent-Length: ").append(std::to_string(body.size()));
  bytes.append("\r\n\r\n").append(body);
  if (!open())
    return Error{Errc::unavailable, "cannot connect to " + endpoint_ + ": " + std::strerror(errno)};
  if (!send(bytes)) {
    close();
    return no_answer(endpoint_);
  }
  auto answer = receive(method == "HEAD");
  if (!answer) close();
  return answer;
}

Result<HttpAnswer> HttpConnection::receive(bool head_only) {
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (buffer_.size() > kMaxHeadBytes || !fill()) return no_answer(endpoint_);
  }
  // With the last line's end, so that every header line has one.
  const std::string_view head = std::string_view(buffer_).substr(0, end + 2);
  HttpAnswer answer;
  if (!head.starts_with("HTTP/1.1 ") || !parse(head.substr(9, 3), answer.status)) return no_answer(endpoint_);
  answer.location = header(head, "Location");
  std::size_t length = 0;
  const std::string_view announced = header(head, "Content-Length");
  if (!announced.empty() && !parse(announced, length)) return no_answer(endpoint_);
  const bool closing = header(head, "Connection") == "close";
  if (head_only) length = 0;
  buffer_.erase(0, end + 4);
  while (buffer_.size() < length) {
    if (!fill()) return no_answer(endpoint_);
  }
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  if (closing) close();
  return answer;
}

Result<HttpAnswer> HttpClient::request(const std::string& endpoint, std::string_view method,
                                       std::string_view path, std::string_view body,
                                       std::uint64_t& redirects) {
  std::string host = endpoint;
  std::string target(path);
  for (int hops = 0; hops <= kMaxRedirects; ++hops) {
    auto& connection = connections_[host];
    if (!connection) connection = std::make_unique<HttpConnection>(host, timeout_ms_);
    auto answer = connection->request(method, target, body);
    if (!answer || answer->status != 307) return answer;
    ++redirects;
    constexpr std::string_view kScheme = "http://";
    if (!answer->location.starts_with(kScheme)) break;
    const std::string rest = answer->location.substr(kScheme.size());
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    host = rest.substr(0, slash);
    target = rest.substr(slash);
  }
  return Error{Errc::unavailable, endpoint + ": redirected in circles, or to nowhere"};
}

}  // namespace dkv::bench
