#include "gateway/client/client.hpp"

#include "gateway/client/dispatcher.hpp"

namespace dkv {

using client::Clock;
using client::Time;

namespace {
// So that a clock's range is enough for any time-out.
constexpr std::chrono::milliseconds kLongestWait = std::chrono::hours(24 * 365);

template <class Body>
Result<Body> body_of(Result<rpc::Reply> answer) {
  if (!answer) return answer.error();
  if (auto* body = std::get_if<Body>(&answer->body)) return std::move(*body);
  return Error{Errc::internal, "the node answered something else than was asked"};
}
}  // namespace

Client::Client(ClientOptions options)
    : deadline_(options.deadline), dispatcher_(std::make_unique<client::Dispatcher>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

OperationResult Client::run(const Operation& operation, ReadMode read) {
  return std::move(execute({&operation, 1}, read).front());
}

Result<GetResult> Client::get(std::string_view key, ReadMode read) {
  OperationResult result = run({OpCode::get, key, {}}, read);
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return GetResult{std::move(result.value), result.version};
}

Result<PutResult> Client::put(std::string_view key, std::string_view value) {
  OperationResult result = run({OpCode::put, key, value, true}, ReadMode::linearizable);
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return PutResult{result.version, result.created};
}

Result<RemoveResult> Client::remove(std::string_view key) {
  OperationResult result = run({OpCode::remove, key, {}}, ReadMode::linearizable);
  if (result.code != Errc::ok) return Error{result.code, std::move(result.message)};
  return RemoveResult{result.version};
}

std::vector<OperationResult> Client::execute(std::span<const Operation> operations, ReadMode read) {
  auto completion = wait(submit(operations, read));
  DKV_ASSERT(completion.has_value());
  return std::move(completion->results);
}

Ticket Client::submit(std::span<const Operation> operations, ReadMode read) {
  return dispatcher_->submit(operations, read);
}

void Client::flush() { dispatcher_->flush(); }

Result<Completion> Client::wait_any(std::chrono::milliseconds timeout) {
  Completion completion;
  if (auto found = wait_any(timeout, completion); !found) return found.error();
  return completion;
}

Result<void> Client::wait_any(std::chrono::milliseconds timeout, Completion& completion) {
  if (dispatcher_->take_any(completion)) return {};  // without a look at the clock
  const Time until = Clock::now() + std::min(timeout, kLongestWait);
  for (bool is_first = true;; is_first = false) {
    if (dispatcher_->take_any(completion)) return {};
    if (!dispatcher_->has_pending()) return Error{Errc::bad_request, "nothing was submitted"};
    if (!is_first && Clock::now() >= until) {
      return Error{Errc::unavailable, "nothing was finished in this time"};
    }
    dispatcher_->turn(until);
  }
}

Result<Completion> Client::wait(Ticket ticket) {
  dispatcher_->flush();
  while (dispatcher_->is_pending(ticket)) dispatcher_->turn(Time::max());
  if (auto completion = dispatcher_->take(ticket)) return std::move(*completion);
  return Error{Errc::bad_request, "no such ticket, or it was waited for already"};
}

Result<rpc::Reply> Client::ask(const std::string& endpoint, rpc::Type type,
                               std::shared_ptr<const rpc::Control> control) {
  rpc::Request request;
  request.type = type;
  request.control = std::move(control);
  return std::move(
      dispatcher_->ask_each(std::span(&endpoint, 1), std::move(request), Clock::now() + deadline_).front());
}

Result<TopologyPtr> Client::topology() {
  const Time until = Clock::now() + deadline_;
  while (!dispatcher_->topology()) {
    if (Clock::now() >= until)
      return Error{Errc::unavailable, "no node told us the topology: " + dispatcher_->last_problem()};
    if (!dispatcher_->topology_wanted()) dispatcher_->want_topology();
    dispatcher_->turn(until);
  }
  return dispatcher_->topology();
}

Result<NodeStatus> Client::status(const std::string& endpoint) {
  return std::move(status(std::span(&endpoint, 1)).front());
}

std::vector<Result<NodeStatus>> Client::status(std::span<const std::string> endpoints) {
  rpc::Request request;
  request.type = rpc::Type::status;
  std::vector<Result<NodeStatus>> statuses;
  for (auto& answer : dispatcher_->ask_each(endpoints, std::move(request), Clock::now() + deadline_))
    statuses.push_back(body_of<NodeStatus>(std::move(answer)));
  return statuses;
}

Result<TopologyPtr> Client::topology_of(const std::string& endpoint) {
  auto reply = body_of<rpc::TopologyReply>(ask(endpoint, rpc::Type::topology));
  if (!reply) return reply.error();
  dispatcher_->on_topology(*reply);
  return topology();
}

Result<std::string> Client::control(const std::string& endpoint, rpc::Control control) {
  auto reply = body_of<rpc::ControlReply>(
      ask(endpoint, rpc::Type::control, std::make_shared<const rpc::Control>(std::move(control))));
  if (!reply) return reply.error();
  return std::move(reply->text);
}

}  // namespace dkv
