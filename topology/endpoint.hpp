// Hosts and "host:port" endpoints as text: checked, and in one spelling each, so that two that compare
// different are different as far as text can tell. (Two hostnames may still lead to one machine; only a
// failing bind tells.) Nothing here asks DNS.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "messages/result.hpp"

namespace dkv {

struct Endpoint {
  std::string host;  // IPv6 without brackets
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

/// An IPv4 or IPv6 literal in its canonical spelling: what a node can listen on, as ZeroMQ looks no name up
/// to bind to it. Errors: bad_request, also for addresses that nobody can be reached at (0.0.0.0, multicast).
Result<std::string> parse_address(std::string_view text);

/// An address or a hostname (RFC 1123), in its canonical spelling: IPv6 shortened, names in
/// lower case. Errors: bad_request, as parse_address().
Result<std::string> parse_host(std::string_view text);

/// "host:port", "[::1]:port" for an IPv6 host: fit for a URL, and for ZeroMQ behind "tcp://".
std::string to_string(const Endpoint& endpoint);

/// Takes apart what to_string() made. Errors: bad_request, for anything else too.
Result<Endpoint> parse_endpoint(std::string_view text);

/// The same from a person, in any spelling: capitals, "[0::1]:7001", "a:07001". Errors: bad_request.
Result<Endpoint> read_endpoint(std::string_view text);

}  // namespace dkv
