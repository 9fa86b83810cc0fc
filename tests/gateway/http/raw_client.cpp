#include "tests/gateway/http/raw_client.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace dkv::testing {

RawClient::RawClient(std::uint16_t port, int receive_buffer_bytes)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval limit{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (receive_buffer_bytes > 0)  // before connecting: the window is made from it
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawClient::end_sending() { ::shutdown(fd_, SHUT_WR); }

bool RawClient::fill() {
  std::array<char, 65536> chunk;
  const auto received = ::recv(fd_, chunk.data(), chunk.size(), 0);
  if (received <= 0) return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(received));
  return true;
}

std::optional<std::string> RawClient::line(std::string_view ending) {
  while (true) {
    if (const auto end = buffer_.find(ending); end != buffer_.npos) {
      auto text = buffer_.substr(0, end);
      buffer_.erase(0, end + ending.size());
      return text;
    }
    if (!fill()) return std::nullopt;
  }
}

Response RawClient::receive(bool has_body) {
  Response response;
  const auto status = line();
  if (!status || status->size() < 12) return response;
  const int code = std::stoi(status->substr(9, 3));
  while (true) {
    const auto header = line();
    if (!header) return response;
    if (header->empty()) break;
    const auto colon = header->find(": ");
    auto name = header->substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    response.headers[name] = header->substr(colon + 2);
  }
  if (code == 100) return receive(has_body);
  const auto length = response.header("content-length");
  const std::size_t size = has_body && !length.empty() ? std::stoull(length) : 0;
  while (buffer_.size() < size) {
    if (!fill()) return response;
  }
  response.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  response.status = code;
  return response;
}

bool RawClient::receive_bytes(std::size_t bytes) {
  while (buffer_.size() < bytes) {
    if (!fill()) return false;
  }
  buffer_.erase(0, bytes);
  return true;
}

std::string RawClient::receive_all() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

bool RawClient::closes() {
  char byte;
  const auto received = ::recv(fd_, &byte, 1, 0);
  return buffer_.empty() && (received == 0 || (received < 0 && errno == ECONNRESET));
}

bool RawClient::receives_continue() { return line() == "HTTP/1.1 100 Continue" && line() == ""; }

std::string request(std::string_view method, std::string_view target, std::string_view body,
                    std::string_view headers) {
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(headers);
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text.append("\r\n").append(body);
}

}  // namespace dkv::testing
