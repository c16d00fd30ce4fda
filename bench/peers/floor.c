// The floor: what the kernel alone asks for a delivery. One write(2) for each reader of each message, and nothing else:
// no upgrade, no queue, no user, no timer. A reader says with its first four bytes which channel it is in; whatever frame
// comes after that goes as it is to everyone in the channel.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 65536, CHANNELS = 65536, EVENTS = 256, INPUT = 1 << 16 };

struct channel {
  int *readers;
  size_t count, room;
};

static struct channel channels[CHANNELS];
// The channel of a connection, and -1 before it is known.
static int32_t channel_of[CONNECTIONS];
static unsigned char input[INPUT];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void join(int reader, uint32_t number) {
  if (number >= CHANNELS) exit(2);
  struct channel *channel = &channels[number];
  if (channel->count == channel->room) {
    channel->room = channel->room ? channel->room * 2 : 16;
    channel->readers = realloc(channel->readers, channel->room * sizeof *channel->readers);
    if (!channel->readers) fail("realloc");
  }
  channel->readers[channel->count++] = reader;
  channel_of[reader] = (int32_t)number;
  static const unsigned char joined[] = {0x82, 0x00};
  if (write(reader, joined, sizeof joined) < 0) fail("write");
}

static void leave(int reader) {
  if (channel_of[reader] >= 0) {
    struct channel *channel = &channels[channel_of[reader]];
    for (size_t at = 0; at < channel->count; at++) {
      if (channel->readers[at] == reader) {
        channel->readers[at] = channel->readers[--channel->count];
        break;
      }
    }
  }
  close(reader);
}

// The bytes of the frame that begins here, header included; 0 when it is not whole.
static size_t frame(const unsigned char *bytes, size_t count) {
  if (count < 4 || bytes[1] != 126) return 0;
  size_t whole = 4 + ((size_t)bytes[2] << 8 | bytes[3]);
  return whole <= count ? whole : 0;
}

static void hear(int from) {
  ssize_t count = recv(from, input, sizeof input, MSG_PEEK | MSG_DONTWAIT);
  if (count <= 0) {
    leave(from);
    return;
  }
  size_t taken = 0;
  if (channel_of[from] < 0) {
    uint32_t number;
    if (count < (ssize_t)sizeof number) return;
    memcpy(&number, input, sizeof number);
    taken = sizeof number;
    join(from, number);
  }
  const struct channel *channel = &channels[channel_of[from]];
  for (size_t whole; (whole = frame(input + taken, (size_t)count - taken)) > 0; taken += whole) {
    for (size_t at = 0; at < channel->count; at++) {
      if (write(channel->readers[at], input + taken, whole) < 0) continue;
    }
  }
  // What was looked at is now taken; the rest of a frame stays for the next time.
  if (taken > 0 && recv(from, input, taken, MSG_DONTWAIT) < 0) fail("recv");
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: %s PORT\n", arguments[0]);
    return 2;
  }
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0) {
    fail("listen");
  }
  int queue = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
  epoll_ctl(queue, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int ready = epoll_wait(queue, events, EVENTS, -1);
    for (int at = 0; at < ready; at++) {
      if (events[at].data.fd != listener) {
        hear(events[at].data.fd);
        continue;
      }
      int reader = accept(listener, NULL, NULL);
      if (reader < 0 || reader >= CONNECTIONS) fail("accept");
      setsockopt(reader, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      channel_of[reader] = -1;
      event.data.fd = reader;
      epoll_ctl(queue, EPOLL_CTL_ADD, reader, &event);
    }
  }
}
