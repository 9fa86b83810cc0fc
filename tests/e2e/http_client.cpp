#include "tests/e2e/http_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace dkv::e2e {
namespace {

sockaddr_in address_of(const std::string& endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (colon == std::string::npos ||
      ::inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("not an endpoint: " + endpoint);
  }
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoul(endpoint.substr(colon + 1))));
  return address;
}

void set_timeouts(int fd, std::chrono::milliseconds timeout) {
  timeval limit{};
  limit.tv_sec = timeout.count() / 1000;
  limit.tv_usec = (timeout.count() % 1000) * 1000;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Status line and headers, without the empty line that ends them.
HttpResponse parse_head(const std::string& head) {
  HttpResponse response;
  std::size_t line_end = head.find("\r\n");
  const std::size_t space = head.find(' ');
  if (space == std::string::npos || head.rfind("HTTP/1.1", 0) != 0) return response;
  response.status = std::atoi(head.c_str() + space + 1);
  while (line_end != std::string::npos) {
    const std::size_t begin = line_end + 2;
    line_end = head.find("\r\n", begin);
    const std::string line = head.substr(begin, line_end == std::string::npos ? line_end : line_end - begin);
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) response.headers[lower(line.substr(0, colon))] = line.substr(colon + 2);
  }
  return response;
}

}  // namespace

Socket::Socket(const std::string& endpoint, std::chrono::milliseconds timeout) {
  const sockaddr_in address = address_of(endpoint);
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return;
  set_timeouts(fd_, timeout);  // connect() keeps to the sending one
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

bool Socket::send(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

std::string Socket::receive() {
  char buffer[16384];
  const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
  timed_out_ = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  return count > 0 ? std::string(buffer, static_cast<std::size_t>(count)) : std::string();
}

bool Socket::closed_by_peer() const {
  char byte;
  const ssize_t count = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

Listener::Listener(const std::string& endpoint) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_in address = address_of(endpoint);
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd_, 5) != 0) {
    throw std::system_error(errno, std::generic_category(), endpoint);
  }
}

Listener::~Listener() { ::close(fd_); }

HttpResponse HttpClient::once(const std::string& endpoint, const std::string& method,
                              const std::string& target, const std::string& body,
                              const HttpHeaders& headers) {
  std::unique_ptr<Connection>& connection = connections_[endpoint];
  if (connection && connection->socket.closed_by_peer()) connection.reset();
  if (!connection) connection.reset(new Connection{{endpoint, timeout_}, {}});
  HttpResponse response;
  response.answered_by = endpoint;
  if (!connection->socket.open()) {
    connection.reset();
    response.status = HttpResponse::kNotSent;
    return response;
  }

  std::string message = method + " " + target + " HTTP/1.1\r\nHost: " + endpoint + "\r\n";
  for (const auto& [name, value] : headers) message += name + ": " + value + "\r\n";
  if (!body.empty() || method == "PUT" || method == "POST") {
    message += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  message += "\r\n" + body;
  // A server may answer, and close, before it has taken a body that is too large: read in any case.
  connection->socket.send(message);
  std::optional<HttpResponse> answer = read_response(*connection, method != "HEAD");
  if (!answer) {
    connection.reset();
    response.status = HttpResponse::kBroken;
    return response;
  }
  answer->answered_by = endpoint;
  const auto keep = answer->headers.find("connection");
  if (keep != answer->headers.end() && lower(keep->second) == "close") connection.reset();
  return *std::move(answer);
}

std::optional<HttpResponse> HttpClient::read_response(Connection& connection, bool has_body) {
  std::string& unread = connection.unread;
  std::size_t head_end;
  while ((head_end = unread.find("\r\n\r\n")) == std::string::npos) {
    const std::string more = connection.socket.receive();
    if (more.empty()) return std::nullopt;
    unread += more;
  }
  HttpResponse response = parse_head(unread.substr(0, head_end));
  if (response.status == 0) return std::nullopt;
  unread.erase(0, head_end + 4);
  if (!has_body) return response;

  const auto length_header = response.headers.find("content-length");
  const std::size_t length = length_header == response.headers.end() ? 0 : std::stoul(length_header->second);
  while (unread.size() < length) {
    const std::string more = connection.socket.receive();
    if (more.empty()) return std::nullopt;
    unread += more;
  }
  response.body = unread.substr(0, length);
  unread.erase(0, length);
  return response;
}

HttpResponse HttpClient::request(const std::string& endpoint, const std::string& method,
                                 const std::string& target, const std::string& body,
                                 const HttpHeaders& headers, int max_redirects) {
  HttpResponse response = once(endpoint, method, target, body, headers);
  for (int hops = 0; hops < max_redirects && response.status == 307; ++hops) {
    const auto [next, next_target] = split_url(response.headers["location"]);
    response = once(next, method, next_target, body, headers);
  }
  return response;
}

std::pair<std::string, std::string> split_url(const std::string& url) {
  const std::string scheme = "http://";
  if (url.rfind(scheme, 0) != 0) throw std::invalid_argument("not a URL: " + url);
  const std::size_t slash = std::min(url.find('/', scheme.size()), url.size());
  return {url.substr(scheme.size(), slash - scheme.size()), url.substr(slash)};
}

std::string percent_encode(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~')) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::string kv_path(const std::string& key) { return "/v1/kv/" + percent_encode(key); }

}  // namespace dkv::e2e
