package dev.curfew;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.time.Clock;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Date;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
    private static final JavaClasses CORE = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.curfew");

    @Test
    void R1_2_onlyTheFacadeHoldsAClock() {
        ArchRule noSystemClock = noClasses()
                .should()
                .callMethod(System.class, "currentTimeMillis")
                .orShould()
                .callMethod(Instant.class, "now")
                .orShould()
                .callMethod(Clock.class, "systemUTC")
                .orShould()
                .callMethod(Clock.class, "systemDefaultZone")
                .orShould()
                .callConstructor(Date.class);
        noSystemClock.check(CORE);
        noClasses()
                .that()
                .doNotBelongToAnyOf(Deadline.class)
                .should()
                .callMethod(System.class, "nanoTime")
                .check(CORE);
        noClasses()
                .that()
                .doNotBelongToAnyOf(TokenResource.class)
                .should()
                .callMethod(InstantSource.class, "system")
                .check(CORE);
        noClasses()
                .that()
                .doNotBelongToAnyOf(Actions.class, Outage.class, Replica.class, KnownRevocations.class)
                .should()
                .callMethod(InstantSource.class, "instant")
                .orShould()
                .callMethod(InstantSource.class, "millis")
                .check(CORE);
    }

    @Test
    void coreNeedsNothingButSlf4jJSpecifyAndJacksonCore() {
        classes()
                .should()
                .onlyDependOnClassesThat(resideInAnyPackage(
                        "dev.curfew", "java..", "org.slf4j..", "org.jspecify..", "com.fasterxml.jackson.core.."))
                .check(CORE);
    }

    @Test
    void thePublicTypesAreFew() {
        assertThat(CORE.stream()
                        .filter(type -> type.getModifiers().contains(JavaModifier.PUBLIC))
                        .filter(type -> !type.getName().endsWith("package-info"))
                        .map(type -> type.getName())
                        .sorted())
                .hasSizeLessThanOrEqualTo(51);
    }

    @Test
    void nobodyPrints() {
        noClasses()
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .check(CORE);
    }
}
