package dev.curfew.servers;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.model.ExposedPort;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.PortBinding;
import com.github.dockerjava.api.model.Ports;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.postgresql.PostgreSQLContainer;

/** A PostgreSQL in a container. */
final class DockerPostgresProcess implements ServerProcess {
    private static final int INSIDE = 5432;

    private final PostgreSQLContainer container;
    // Bound to one port, so that it has the same after a restart.
    private final int port = EmbeddedPostgresProcess.freePort();

    DockerPostgresProcess(String version, Map<String, String> settings) {
        List<String> command = new ArrayList<>(List.of("postgres"));
        settings.forEach((name, value) -> command.addAll(List.of("-c", name + "=" + value)));
        container = new PostgreSQLContainer("postgres:" + version)
                .withUsername("postgres")
                .withPassword("postgres")
                .withDatabaseName("postgres")
                .withCommand(command.toArray(String[]::new))
                .withCreateContainerCmdModifier(create -> {
                    HostConfig host = create.getHostConfig() == null ? new HostConfig() : create.getHostConfig();
                    create.withHostConfig(host.withPortBindings(
                            new PortBinding(Ports.Binding.bindPort(port), ExposedPort.tcp(INSIDE))));
                });
    }

    /** Whether Docker answers; asks only where there is something to ask, since asking is slow and loud. */
    static boolean isAvailable() {
        boolean configured = System.getenv("DOCKER_HOST") != null || Files.exists(Path.of("/var/run/docker.sock"));
        return configured && DockerClientFactory.instance().isDockerAvailable();
    }

    private DockerClient docker() {
        return container.getDockerClient();
    }

    @Override
    public void start() {
        if (container.getContainerId() == null) {
            container.start();
        } else {
            docker().startContainerCmd(container.getContainerId()).exec();
        }
    }

    @Override
    public void kill() {
        docker().killContainerCmd(container.getContainerId()).withSignal("KILL").exec();
    }

    @Override
    public void pause() {
        docker().pauseContainerCmd(container.getContainerId()).exec();
    }

    @Override
    public void resume() {
        docker().unpauseContainerCmd(container.getContainerId()).exec();
    }

    @Override
    public int port() {
        return port;
    }

    @Override
    public String kind() {
        return "in Docker";
    }

    @Override
    public void close() {
        container.stop();
    }
}
