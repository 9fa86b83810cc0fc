#include "tests/actors/runtime/world_kit.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace dkv::test {

namespace {

class ScriptActor final : public Actor {
 public:
  explicit ScriptActor(Script script) : script_(std::move(script)) {}
  ~ScriptActor() override {
    if (script_.on_end) script_.on_end();
  }
  void on_start(TimePoint now, Effects& out) override {
    if (script_.on_start) script_.on_start(now, out);
  }
  void on_message(Envelope envelope, TimePoint now, Effects& out) override {
    if (script_.on_message) script_.on_message(std::move(envelope), now, out);
  }
  void on_wake(TimePoint now, Effects& out) override {
    if (script_.on_wake) script_.on_wake(now, out);
  }
  void on_turn_end(TimePoint now, Effects& out) override {
    if (script_.on_turn_end) script_.on_turn_end(now, out);
  }
  TimePoint wake_at() const override { return script_.wake_at ? script_.wake_at() : kNever; }

 private:
  Script script_;
};

/// Of this process alone, so that tests that run side by side never meet.
std::string own_host() {
  const auto pid = static_cast<unsigned>(::getpid());
  return "127." + std::to_string(64 + (pid >> 16) % 64) + "." + std::to_string((pid >> 8) & 255) + "." +
         std::to_string(1 + (pid & 255) % 254);
}

/// Ports that the system found free, on a host of this process's own. Held until all are found, or the
/// system might name one twice.
class FreePorts {
 public:
  ~FreePorts() {
    for (const int fd : held_) ::close(fd);
  }
  std::string next() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    held_.push_back(fd);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, host_.c_str(), &address.sin_addr);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof(address);
    DKV_ASSERT(::bind(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0);
    return host_ + ":" + std::to_string(ntohs(address.sin_port));
  }

 private:
  std::string host_ = own_host();
  std::vector<int> held_;
};

rpc::Request request_of(std::uint64_t id, std::shared_ptr<const std::pair<std::string, std::string>> owned,
                        OpCode code) {
  rpc::Request request;
  request.request_id = id;
  request.operations.push_back({code, owned->first, owned->second});
  request.owner = std::move(owned);
  return request;
}

int connect_and_send(const std::string& endpoint, const std::string& bytes) {
  const auto colon = endpoint.rfind(':');
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(colon + 1))));
  ::inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr);
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << endpoint;
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t done = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (done <= 0) break;
    sent += static_cast<std::size_t>(done);
  }
  return fd;
}

/// Closes `fd` too; false if the other side did not close within ten seconds of silence.
bool wait_for_close(int fd) {
  timeval patience{10, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  char unused[4096];
  ssize_t got = 1;
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (got > 0 && std::chrono::steady_clock::now() < deadline) got = ::recv(fd, unused, sizeof(unused), 0);
  const bool closed = got == 0 || (got < 0 && errno == ECONNRESET);
  ::close(fd);
  return closed;
}

}  // namespace

std::unique_ptr<Actor> actor(Script script) { return std::make_unique<ScriptActor>(std::move(script)); }

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

TopologyPtr make_topology(std::uint32_t nodes) {
  auto topology = std::make_shared<Topology>();
  topology->id = 0x5eed;
  topology->name = "test";
  FreePorts ports;
  for (std::uint32_t i = 1; i <= nodes; ++i) {
    NodeInfo node;
    node.id = NodeId{i};
    node.name = "node" + std::to_string(i);
    for (std::string* endpoint : {&node.http, &node.rpc, &node.events, &node.peer, &node.watch}) {
      *endpoint = ports.next();
    }
    topology->nodes.push_back(node);
  }
  return topology;
}

Address router_of(NodeId node) { return {node, Role::router, {}}; }
Address member_of(NodeId node, ShardId shard) { return {node, Role::member, shard}; }
Address log_of(NodeId node, ShardId shard) { return {node, Role::log, shard}; }

TestWorld::TestWorld(TopologyPtr topology_in, NodeId self_in, std::chrono::milliseconds grace)
    : topology(std::move(topology_in)),
      self(self_in),
      world({self, topology,
             [kept = lines](LogLevel, std::string_view text) { kept->add(std::string(text)); }, grace}) {}

void TestWorld::start() {
  const auto started = world.start();
  if (!started) throw std::runtime_error(started.error().message);
}

bool TestWorld::logged(const std::string& part) {
  for (const std::string& line : lines->now()) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

rpc::Request get_request(std::uint64_t id, const std::string& key) {
  return request_of(id, std::make_shared<std::pair<std::string, std::string>>(key, ""), OpCode::get);
}

rpc::Request put_request(std::uint64_t id, const std::string& key, const std::string& value) {
  return request_of(id, std::make_shared<std::pair<std::string, std::string>>(key, value), OpCode::put);
}

rpc::Reply echo(const rpc::Request& request) {
  std::vector<OperationResult> results;
  for (const Operation& operation : request.operations) {
    OperationResult result;
    if (operation.code == OpCode::get) result.value = std::string(operation.key);
    results.push_back(std::move(result));
  }
  return {request.request_id, std::move(results)};
}

Script echo_router() {
  Script script;
  script.on_message = [](Envelope envelope, TimePoint, Effects& out) {
    if (auto* asked = std::get_if<ClientRequest>(&envelope.message)) {
      out.send({envelope.to.node, Role::client, {}}, ClientReply{asked->origin, echo(asked->request)});
    }
  };
  return script;
}

RawSocket::RawSocket(zmq::socket_type type, const std::string& endpoint, int queue)
    : socket_(context_, type) {
  socket_.set(zmq::sockopt::rcvhwm, queue);
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvtimeo, static_cast<int>(std::chrono::milliseconds(kPatience).count()));
  socket_.set(zmq::sockopt::sndtimeo, static_cast<int>(std::chrono::milliseconds(kPatience).count()));
  socket_.connect("tcp://" + endpoint);
}

bool RawSocket::send(const std::vector<std::string>& parts) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto flags = i + 1 < parts.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
    if (!socket_.send(zmq::buffer(parts[i]), flags)) return false;
  }
  return true;
}

std::vector<std::string> RawSocket::receive() {
  std::vector<std::string> parts;
  zmq::message_t part;
  do {
    if (!socket_.recv(part)) return {};
    parts.push_back(part.to_string());
  } while (part.more());
  return parts;
}

Result<rpc::Reply> RawSocket::receive_reply(OpCode asked) {
  const auto parts = receive();
  if (parts.size() != 1) return Error{Errc::internal, std::to_string(parts.size()) + " parts came"};
  return rpc::decode_reply(parts[0], {asked});
}

void throw_at(const std::string& endpoint, const std::string& bytes) {
  const int fd = connect_and_send(endpoint, bytes);
  ::shutdown(fd, SHUT_WR);
  // Until the other side has taken all of it, and closed.
  wait_for_close(fd);
}

bool is_closed_on(const std::string& endpoint, const std::string& bytes) {
  return wait_for_close(connect_and_send(endpoint, bytes));
}

std::string subscriber_hello() {
  std::string bytes("\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL", 16);
  bytes.resize(64, '\0');
  return bytes + std::string("\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB", 27);
}

void subscribe_and_leave(const std::string& endpoint) {
  const int fd = connect_and_send(endpoint, subscriber_hello());
  // The other side's greeting and READY are as long as a subscriber's own.
  std::string theirs(subscriber_hello().size(), '\0');
  EXPECT_EQ(::recv(fd, theirs.data(), theirs.size(), MSG_WAITALL), static_cast<ssize_t>(theirs.size()));
  ::shutdown(fd, SHUT_WR);
  wait_for_close(fd);
}

std::vector<std::string> garbage() {
  // A ZMTP 3.0 greeting, NULL mechanism.
  std::string greeting("\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL", 16);
  greeting.resize(64, '\0');
  return {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string(100'000, '\xff'),
      std::string(64, '\0'),
      greeting,
      greeting + std::string("\x04\x05READY", 7),
      // A command of 2^63 bytes, then one of 2^64 - 1.
      greeting + std::string("\x06\x80\0\0\0\0\0\0\0", 9),
      greeting + std::string("\x06\xff\xff\xff\xff\xff\xff\xff\xff", 9) + std::string(1'000, 'x'),
  };
}

}  // namespace dkv::test
